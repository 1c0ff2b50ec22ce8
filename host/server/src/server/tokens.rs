//! Access tokens: who shows one is let in.
//!
//! Invariants: of a token only its SHA-256 is kept; how long a comparison takes tells nothing of any token; no error and
//! no log names one.

use crate::bounded;
use http::{HeaderMap, header};
use portico_store::{Digest, Sha256};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use subtle::{Choice, ConstantTimeEq};

/// Shortest token, in characters. Of random letters and digits these are 190 bits.
pub const TOKEN_MIN: usize = 32;

/// Longest token, in characters.
pub const TOKEN_MAX: usize = 512;

/// Largest file of tokens, in bytes.
pub const TOKEN_FILE_MAX: u64 = 64 << 10;

/// Permission bits of a file that others than its owner and group may read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Why there are no tokens. None of them tells what a line holds.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read, or is too large.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// A line is no token.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: BadToken,
    },
    /// The file has none.
    #[error("it has no token in it")]
    Empty,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Too short to be safe.
    #[error("a token has at least {TOKEN_MIN} characters")]
    Short,
    /// Too long for a header.
    #[error("a token has at most {TOKEN_MAX} characters")]
    Long,
    /// It cannot stand in a header (RFC 6750, 2.1).
    #[error("a token has letters, digits and -._~+/ only, and = at its end")]
    Characters,
}

/// Tokens, each of which lets a client in.
#[derive(Clone)]
pub struct Tokens {
    digests: Vec<Digest>,
    /// Where they come from, if every user of the machine may read it.
    exposed: Option<PathBuf>,
}

impl Tokens {
    /// A single one.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn one(token: &str) -> Result<Tokens, BadToken> {
        check(token)?;
        Ok(Tokens { digests: vec![digest(token)], exposed: None })
    }

    /// Reads a file that has a token in each line. Blank lines, and those that begin with `#`, are left out.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<Tokens, TokenError> {
        let file = std::fs::File::open(path)?;
        let exposed = file.metadata()?.mode() & READABLE_BY_OTHERS != 0;
        let content = bounded::read(file, TOKEN_FILE_MAX)?;
        Ok(Tokens { digests: parse(&content)?, exposed: exposed.then(|| path.to_owned()) })
    }

    /// The file that they come from, if every user of the machine may read it.
    pub fn exposed_in(&self) -> Option<&Path> {
        self.exposed.as_deref()
    }

    /// Whether the headers of a request show one: in one `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
        let Some((scheme, token)) = shown.to_str().ok().and_then(|shown| shown.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && self.include(token.trim_matches(' '))
    }

    fn include(&self, token: &str) -> bool {
        let shown = digest(token).0;
        // All of them are looked at, so that the time does not tell which one it is.
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
