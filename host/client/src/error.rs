//! Why something that a client does has failed, and whether it may go well the next time.

use crate::limits::SHOWN_MAX;
use http::StatusCode;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Anything that a library has to say.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why something has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the server is none.
    #[error("`{url}` cannot be a server: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The trusted certificates cannot be used.
    #[error("cannot use the certificates in {}: {reason}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The token cannot be used.
    #[error("cannot use the token from {place}: {reason}")]
    Token {
        /// Where it was given.
        place: String,
        /// What is wrong with it, without a piece of it.
        reason: String,
    },
    /// TLS cannot be set up in this process.
    #[error("cannot set up TLS")]
    Tls(#[source] BoxError),
    /// No connection comes about.
    #[error("cannot reach {server}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        #[source]
        cause: BoxError,
    },
    /// The server is not who it should be, or this client not who it lets in.
    #[error("cannot trust {server}")]
    Untrusted {
        /// The server.
        server: String,
        /// Why.
        #[source]
        cause: BoxError,
    },
    /// A connection ended in the middle of an exchange.
    #[error("the connection to {server} broke off")]
    Broken {
        /// The server.
        server: String,
        /// Why.
        #[source]
        cause: BoxError,
    },
    /// Nothing came or went for too long.
    #[error("{server} stood still for {} s", .limit.as_secs())]
    StoodStill {
        /// The server.
        server: String,
        /// What was waited for.
        limit: Duration,
    },
    /// The server answers that it cannot or will not.
    #[error("the server says: {0}")]
    Refused(Box<Problem>),
    /// The server says something that a portal does not say.
    #[error("{server} does not answer as a portal does: {what}")]
    Unexpected {
        /// The server.
        server: String,
        /// What is odd.
        what: String,
    },
    /// The file to send cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Arc<io::Error>,
    },
    /// What is to be sent is no plain file.
    #[error("{} is no plain file; what comes through a pipe can be put as `-`", .0.display())]
    NotAFile(PathBuf),
    /// The size of the file to send is false, as in procfs.
    #[error(
        "{path} says that it has {told} bytes, and has {}: its size cannot be relied on; \
         as a stream it can be put: portico put --name NAME - < {path}",
        if *.more { "more" } else { "fewer" },
        path = .path.display()
    )]
    FalseSize {
        /// The file.
        path: PathBuf,
        /// Its size in bytes, as it tells.
        told: u64,
        /// Whether the file has more bytes than that.
        more: bool,
    },
    /// The file to send has no name that a portal takes.
    #[error("{} has no name that can be sent; give it one with --name", .0.display())]
    NoName(PathBuf),
    /// The file to send was written to meanwhile.
    #[error("{} was changed while it was sent; nothing of it was stored", .0.display())]
    Changed(PathBuf),
    /// What was stored is not what is in the file now.
    #[error(
        "what was stored is not what is in {}: it was damaged on its way, or written to without a trace; \
         it was removed again",
        .0.display()
    )]
    Differs(PathBuf),
    /// Sessions of this file end as fast as they begin.
    #[error("the upload was ended at the server, {0} times; somebody else seems to abort it")]
    Ended(u32),
    /// Too many uploads of the very same file have been made.
    #[error("the server has {0} finished or failed uploads of this very file; a changed time of it begins anew")]
    TooManySessions(u32),
    /// A name or an id is longer than a URL can be.
    #[error("a name or an id is too long: its path would have {bytes} bytes, and HTTP takes 65534 at most")]
    Path {
        /// Bytes of the path.
        bytes: usize,
    },
    /// A text cannot be a media type.
    #[error("`{0}` cannot be a media type")]
    MediaType(String),
    /// A text cannot be the id of a file.
    #[error("`{0}` cannot be the id of a file")]
    Id(String),
    /// There is no such file, or not any more.
    #[error("there is no such file; it may have been removed before")]
    Absent,
    /// There is something under the name of the file to write.
    #[error("{} is there; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// The target of a download exists and is no plain file.
    #[error("{} is {kind}, and only a plain file is replaced; to write to it: portico get -o - FILE_ID > PATH", .path.display())]
    NotReplaced {
        /// The target.
        path: PathBuf,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// The reader of standard output has closed the pipe.
    #[error("the reader of standard output has closed the pipe")]
    ReaderGone,
    /// Another process gets the same file.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What has arrived is not what the server has.
    #[error("what arrived of {0} is damaged: its SHA-256 is not the one that the server tells; nothing of it was kept")]
    Damaged(String),
}

impl Error {
    /// Whether the same may go well a little later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Broken { .. } | Error::StoodStill { .. } => true,
            Error::Refused(problem) => problem.is_temporary(),
            _ => false,
        }
    }

    /// Whether the server is at it, and says so.
    pub fn is_busy(&self) -> bool {
        self.is_problem("session-busy")
    }

    /// Whether the server tells a problem of that kind.
    pub fn is_problem(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(kind))
    }

    /// How long the server asks its clients to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(problem) => problem.retry_after,
            _ => None,
        }
    }

    /// What the server answered, if it is that.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the answer had this status.
    pub fn is_status(&self, status: StatusCode) -> bool {
        self.problem().is_some_and(|problem| problem.status == status)
    }

    /// Whether it is a matter of how the client was called.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Url { .. } | Error::CaFile { .. } | Error::Token { .. } | Error::MediaType(_))
    }
}

/// An answer that is not a success (RFC 9457).
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    retry_after: Option<Duration>,
    told: Told,
}

/// What its document says, as far as it has one.
#[derive(Clone, Debug, Default, Deserialize)]
struct Told {
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
    /// The problem that an answer tells; a proxy's page tells its status only.
    pub(crate) fn read(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Problem {
        Problem { status, retry_after, told: serde_json::from_slice(body).unwrap_or_default() }
    }

    /// Whether it is of that kind.
    pub fn is(&self, kind: &str) -> bool {
        self.told.kind.strip_prefix("/problems/") == Some(kind)
    }

    fn is_temporary(&self) -> bool {
        match self.status.as_u16() {
            // A full store does not become empty by asking again, and what no server can do it won't be able to.
            501 | 505 | 507 | 508 | 510 | 511 => false,
            408 | 425 | 429 | 500.. => true,
            _ => self.is("interrupted") || self.is("session-busy"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { title, detail, field, limit, .. } = &self.told;
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
            // A portal says how much it takes.
            StatusCode::PAYLOAD_TOO_LARGE if limit.is_none() => {
                f.write_str("; if that is a proxy, it may take smaller parts (--part-size)")
            }
            _ => Ok(()),
        }
    }
}

/// A text of somebody else as it can go to a terminal: without control characters and such as change directions.
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

/// Returns the beginning of a server's text, as [`printable`] shows it.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => printable(text),
        Some((end, _)) => format!("{} ...", printable(&text[..end])),
    }
}

/// The file could not be read while it was sent. Comes back from the HTTP library among the causes of its error.
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
