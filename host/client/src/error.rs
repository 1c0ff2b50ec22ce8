//! The errors of the client, and which of them a retry may cure.

use crate::limits::SHOWN_MAX;
use http::StatusCode;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Any error of a library.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's URL is invalid.
    #[error("`{url}` is not the URL of a server: {reason}")]
    Url {
        /// The URL as given.
        url: String,
        /// The defect.
        reason: &'static str,
    },
    /// The trusted certificates are unusable.
    #[error("cannot use the certificates in {}: {reason}", .path.display())]
    CaFile {
        /// The certificate file.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// The token is unusable.
    #[error("cannot use the token from {place}: {reason}")]
    Token {
        /// Where the token was given.
        place: String,
        /// The defect; contains no part of the token.
        reason: String,
    },
    /// This process cannot set up TLS.
    #[error("cannot set up TLS")]
    Tls(#[source] BoxError),
    /// The server cannot be connected to.
    #[error("cannot reach {server}")]
    Unreachable {
        /// The server's URL.
        server: String,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// TLS failed: the server's certificate is not trusted, or the server rejected the client.
    #[error("TLS with {server} failed")]
    Untrusted {
        /// The server's URL.
        server: String,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// The connection was lost during an exchange.
    #[error("the connection to {server} was lost")]
    Broken {
        /// The server's URL.
        server: String,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// No byte moved for too long.
    #[error("{server} stalled: nothing moved for {} s", .limit.as_secs())]
    Stalled {
        /// The server's URL.
        server: String,
        /// The time without progress.
        limit: Duration,
    },
    /// The server answered with an error.
    #[error("the server answers: {0}")]
    Refused(Box<Problem>),
    /// The answer is not one of a portal.
    #[error("{server} does not answer like a portal: {what}")]
    Unexpected {
        /// The server's URL.
        server: String,
        /// The unexpected content.
        what: String,
    },
    /// The source file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: Arc<io::Error>,
    },
    /// The source is not a regular file.
    #[error("{} is not a plain file; to put a stream, pipe it to `portico put -`", .0.display())]
    NotAFile(PathBuf),
    /// The file's size is wrong, as in procfs.
    #[error(
        "{path} claims {told} bytes and has {}, so its size is not reliable; \
         as a stream it can be put: portico put --name NAME - < {path}",
        if *.more { "more" } else { "fewer" },
        path = .path.display()
    )]
    FalseSize {
        /// The file.
        path: PathBuf,
        /// The size in bytes that the file claims.
        told: u64,
        /// Whether the file has more bytes than it claims.
        more: bool,
    },
    /// The source file's name is not UTF-8.
    #[error("the name of {} is not UTF-8; give another one with --name", .0.display())]
    NoName(PathBuf),
    /// The source file changed during the upload.
    #[error("{} was changed while it was sent; it was not stored", .0.display())]
    Changed(PathBuf),
    /// The stored content differs from the source file.
    #[error(
        "the stored content differs from {}: it was damaged in transit, or the file was changed unnoticed; \
         it was removed again",
        .0.display()
    )]
    Differs(PathBuf),
    /// The upload's sessions keep ending early.
    #[error("the upload was ended at the server {0} times; another client seems to abort it")]
    Ended(u32),
    /// This unchanged file already has too many sessions.
    #[error("the server has {0} finished or failed uploads of this unchanged file; touch the file to start afresh")]
    TooManySessions(u32),
    /// A name or id is too long for a URL.
    #[error("a name or an id is too long: its path would have {bytes} bytes, and HTTP allows at most 65534")]
    Path {
        /// Length of the path in bytes.
        bytes: usize,
    },
    /// The text is not a media type.
    #[error("`{0}` is not a media type")]
    MediaType(String),
    /// The text is not a file id.
    #[error("`{0}` is not the id of a file")]
    Id(String),
    /// The file does not exist, or no longer exists.
    #[error("the file does not exist; it may have been removed")]
    Absent,
    /// The target file exists already.
    #[error("{} exists; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// The target exists, and is not a regular file.
    #[error("{} is {kind}, and only plain files are replaced; to write to it: portico get -o - FILE_ID > PATH", .path.display())]
    NotReplaced {
        /// The target.
        path: PathBuf,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// The reader of standard output has closed the pipe.
    #[error("the reader of standard output has closed the pipe")]
    ReaderGone,
    /// Another process is downloading to the same target.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The target file cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The received content has the wrong digest.
    #[error(
        "the received content of {0} is damaged: its SHA-256 is not the one that the server announced; it was discarded"
    )]
    Damaged(String),
}

impl Error {
    /// Reports whether a later retry may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Broken { .. } | Error::Stalled { .. } => true,
            Error::Refused(problem) => problem.is_temporary(),
            _ => false,
        }
    }

    /// Reports whether the server still works on an earlier request for the session.
    pub fn is_busy(&self) -> bool {
        self.is_problem("session-busy")
    }

    /// Reports whether the server answered with a problem of this type.
    pub fn is_problem(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(kind))
    }

    /// Returns the time that the server asks its clients to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(problem) => problem.retry_after,
            _ => None,
        }
    }

    /// Returns the server's problem, if the server answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Reports whether the answer had this status.
    pub fn is_status(&self, status: StatusCode) -> bool {
        self.problem().is_some_and(|problem| problem.status == status)
    }

    /// Reports whether the caller's arguments are at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Url { .. } | Error::CaFile { .. } | Error::Token { .. } | Error::MediaType(_))
    }
}

/// An unsuccessful answer (RFC 9457).
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    retry_after: Option<Duration>,
    document: ProblemDocument,
}

/// The problem document, as far as the answer has one.
#[derive(Clone, Debug, Default, Deserialize)]
struct ProblemDocument {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    field: String,
    limit: Option<u64>,
}

impl Problem {
    /// Reads an unsuccessful answer. A proxy's page yields only its status.
    pub(crate) fn read(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Problem {
        Problem { status, retry_after, document: serde_json::from_slice(body).unwrap_or_default() }
    }

    /// Reports whether the problem has this type.
    pub fn is(&self, kind: &str) -> bool {
        self.document.kind.strip_prefix("/problems/") == Some(kind)
    }

    fn is_temporary(&self) -> bool {
        match self.status.as_u16() {
            // A retry does not empty a full store, and does not teach a server what it cannot do.
            501 | 505 | 507 | 508 | 510 | 511 => false,
            408 | 425 | 429 | 500.. => true,
            _ => self.is("interrupted") || self.is("session-busy"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProblemDocument { title, detail, field, limit, .. } = &self.document;
        let title = if title.is_empty() { self.status.canonical_reason().unwrap_or("an error") } else { title };
        write!(f, "{} ({})", excerpt(title), self.status.as_u16())?;
        if !detail.is_empty() {
            write!(f, ": {}", excerpt(detail))?;
        }
        if !field.is_empty() {
            write!(f, " [{}]", excerpt(field))?;
        }
        if let Some(limit) = limit {
            write!(f, ", at most {limit} bytes")?;
        }
        match self.status {
            StatusCode::UNAUTHORIZED => f.write_str("; a token is taken from PORTICO_TOKEN or --auth-file"),
            // A portal states its limit.
            StatusCode::PAYLOAD_TOO_LARGE if limit.is_none() => {
                f.write_str("; if that is a proxy, it may take smaller parts (--part-size)")
            }
            _ => Ok(()),
        }
    }
}

/// Escapes a foreign text for a terminal: control characters, and those that change the direction.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Returns the beginning of a server's text, escaped by [`printable`].
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => printable(text),
        Some((end, _)) => format!("{} ...", printable(&text[..end])),
    }
}

/// A read error of the source file. Returns inside an error of the HTTP library.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read {}", .path.display())]
pub(crate) struct Unreadable {
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) cause: Arc<io::Error>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> Problem {
        Problem::read(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn what_a_server_says_is_told() {
        for (status, body, told) in [
            (
                507,
                r#"{"type":"/problems/no-space","title":"The store is full","status":507}"#,
                "The store is full (507)",
            ),
            (400, r#"{"title":"Bad","detail":"not so","field":"name"}"#, "Bad (400): not so [name]"),
            (413, r#"{"title":"Large","limit":5}"#, "Large (413), at most 5 bytes"),
            (502, "<html>Bad \u{1b}[2JGateway</html>", "Bad Gateway (502)"),
            (499, "", "an error (499)"),
            (400, "{\"title\":\"a\\u001b[2J\\u202eb\"}", "a\\u{1b}[2J\\u{202e}b (400)"),
            (400, "{\"title\":1}", "Bad Request (400)"),
        ] {
            assert_eq!(problem(status, body).to_string(), told);
        }
        let long = format!("{{\"title\":\"{}\"}}", "é".repeat(2 * SHOWN_MAX));
        assert_eq!(problem(400, &long).to_string(), format!("{} ... (400)", "é".repeat(SHOWN_MAX)));
        assert!(problem(401, "").to_string().contains("PORTICO_TOKEN"));
        assert!(problem(413, "<html>").to_string().contains("--part-size"));
    }

    #[test]
    fn what_may_pass_by_itself() {
        for (status, kind, temporary) in [
            (400, "interrupted", true),
            (400, "invalid-request", false),
            (401, "", false),
            (404, "not-found", false),
            (408, "", true),
            (409, "session-busy", true),
            (409, "part-conflict", false),
            (410, "gone", false),
            (413, "too-large", false),
            (422, "digest-mismatch", false),
            (429, "", true),
            (500, "internal", true),
            (502, "", true),
            (503, "unavailable", true),
            (504, "", true),
            (507, "no-space", false),
        ] {
            let body = format!("{{\"type\":\"/problems/{kind}\"}}");
            assert_eq!(problem(status, &body).is_temporary(), temporary, "{status} {kind}");
        }
    }

    #[test]
    fn names_are_shown_as_they_are_unless_they_could_do_something() {
        for (name, shown) in
            [("it's \"a\\b\"", "it's \"a\\b\""), ("naïve ☃.txt", "naïve ☃.txt"), ("a\nb\u{202e}", "a\\nb\\u{202e}")]
        {
            assert_eq!(printable(name), shown);
        }
    }
}
