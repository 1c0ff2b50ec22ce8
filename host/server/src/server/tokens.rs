//! Access tokens: a request with a known token is admitted.
//!
//! Invariants: only the SHA-256 of a token is kept; the time of a comparison reveals nothing about tokens; no error and no log
//! contains one.

use crate::bounded;
use http::{HeaderMap, header};
use portico_store::{Digest, Sha256};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use subtle::{Choice, ConstantTimeEq};

/// Shortest token, in characters. 32 random letters and digits have 190 bits.
pub const TOKEN_MIN: usize = 32;

/// Longest token, in characters.
pub const TOKEN_MAX: usize = 512;

/// Largest token file, in bytes.
pub const TOKEN_FILE_MAX: u64 = 64 << 10;

/// Permission bit of files that all users of the machine may read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Why the tokens cannot be loaded. Contains no part of a line.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read, or is too large.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// A line is not a token.
    #[error("line {line}: {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// The defect.
        reason: BadToken,
    },
    /// The file contains no token.
    #[error("it contains no token")]
    Empty,
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// The token is too short to be safe.
    #[error("a token has at least {TOKEN_MIN} characters")]
    Short,
    /// The token is too long for a header.
    #[error("a token has at most {TOKEN_MAX} characters")]
    Long,
    /// The token has characters that a header does not allow (RFC 6750, 2.1).
    #[error("a token may have only letters, digits and -._~+/, and = at its end")]
    Characters,
}

/// A set of tokens, each of which admits a client.
#[derive(Clone)]
pub struct Tokens {
    digests: Vec<Digest>,
    /// The path of the token file, if every user of the machine may read it.
    exposed: Option<PathBuf>,
}

impl Tokens {
    /// Creates a set of one token.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn one(token: &str) -> Result<Tokens, BadToken> {
        check(token)?;
        Ok(Tokens { digests: vec![digest(token)], exposed: None })
    }

    /// Reads a file with one token per line. Ignores blank lines, and lines that begin with `#`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<Tokens, TokenError> {
        let file = std::fs::File::open(path)?;
        let exposed = file.metadata()?.mode() & READABLE_BY_OTHERS != 0;
        let content = bounded::read(file, TOKEN_FILE_MAX)?;
        Ok(Tokens { digests: parse(&content)?, exposed: exposed.then(|| path.to_owned()) })
    }

    /// Returns the path of the token file, if all users may read it.
    pub fn exposed_in(&self) -> Option<&Path> {
        self.exposed.as_deref()
    }

    /// Reports whether the headers carry a known token, in a single `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
        let Some((scheme, token)) = shown.to_str().ok().and_then(|shown| shown.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && self.include(token.trim_matches(' '))
    }

    fn include(&self, token: &str) -> bool {
        let shown = digest(token).0;
        // All tokens are compared, so that the time does not reveal which one matches.
        let equal = self.digests.iter().map(|known| known.0.ct_eq(&shown));
        equal.fold(Choice::from(0), |any, this| any | this).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.digests.len())
    }
}

fn parse(content: &[u8]) -> Result<Vec<Digest>, TokenError> {
    let mut digests = Vec::new();
    for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        let wrong = |reason| TokenError::Line { line: number, reason };
        let line = std::str::from_utf8(line).map_err(|_| wrong(BadToken::Characters))?.trim();
        if !line.is_empty() && !line.starts_with('#') {
            check(line).map_err(wrong)?;
            digests.push(digest(line));
        }
    }
    if digests.is_empty() { Err(TokenError::Empty) } else { Ok(digests) }
}

fn check(token: &str) -> Result<(), BadToken> {
    let body = token.trim_end_matches('=');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    match token.len() {
        _ if body.is_empty() || !body.bytes().all(plain) => Err(BadToken::Characters),
        ..TOKEN_MIN => Err(BadToken::Short),
        TOKEN_MIN..=TOKEN_MAX => Ok(()),
        _ => Err(BadToken::Long),
    }
}

fn digest(token: &str) -> Digest {
    let mut sha256 = Sha256::new();
    sha256.update(token.as_bytes());
    sha256.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ONE: &str = "0123456789abcdefghijklmnopqrstuv";
    const OTHER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/==";

    #[test]
    fn a_file_has_a_token_in_each_line() {
        let text = format!("# for the backup\r\n\n  {ONE}\t\r\n#{OTHER}\n\n{OTHER}");
        let tokens = Tokens { digests: parse(text.as_bytes()).unwrap(), exposed: None };
        assert!(tokens.include(ONE) && tokens.include(OTHER));
        assert_eq!(tokens.digests.len(), 2);
        assert_eq!(format!("{tokens:?}"), "Tokens(2)");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_not_shown() {
        let short = &ONE[1..];
        let long = "x".repeat(TOKEN_MAX + 1);
        for (line, reason) in [
            (short, BadToken::Short),
            (&*long, BadToken::Long),
            (&*format!("{ONE} {ONE}"), BadToken::Characters),
            (&*format!("{ONE} # mine"), BadToken::Characters),
            (&*format!("{ONE}=x"), BadToken::Characters),
            (&*"=".repeat(40), BadToken::Characters),
            (&*format!("{ONE}\u{e9}"), BadToken::Characters),
        ] {
            let error = parse(format!("{OTHER}\n\n{line}\n").as_bytes()).unwrap_err();
            assert!(
                matches!(error, TokenError::Line { line: 3, reason: found } if found == reason),
                "{line}: {error:?}"
            );
            assert!(!format!("{error} {error:?}").contains(&line[..20]), "{error}");
        }
        assert!(matches!(parse(b"\xff"), Err(TokenError::Line { line: 1, .. })));
        for empty in ["", "\n\n", "# nothing"] {
            assert!(matches!(parse(empty.as_bytes()), Err(TokenError::Empty)), "{empty:?}");
        }
        assert_eq!(Tokens::one(short).unwrap_err(), BadToken::Short);
    }

    #[test]
    fn a_request_shows_one_token_by_bearer() {
        let tokens = Tokens::one(ONE).unwrap();
        let shown = |values: &[&str]| {
            let values = values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
            tokens.admit(&values.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            }))
        };
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert!(shown(&[&format!("{scheme} {ONE}")]) && shown(&[&format!("{scheme}  {ONE}")]));
        }
        let bearer = format!("Bearer {ONE}");
        for wrong in [
            &[] as &[&str],
            &[ONE],
            &["Bearer"],
            &["Bearer "],
            &[&format!("Basic {ONE}")],
            &[&format!("Bearer{ONE}")],
            &[&format!("Bearer {}", &ONE[1..])],
            &[&format!("Bearer {ONE}x")],
            &[&format!("Bearer {}", ONE.to_uppercase())],
            &[&format!("Bearer {OTHER}")],
            &[&bearer, &bearer],
        ] {
            assert!(!shown(wrong), "{wrong:?}");
        }
    }
}
