//! Names that callers choose, checked before they reach a backend.
//!
//! Invariant: a value of these types has passed its check, so a backend may use it as one path component or one piece
//! of an object key without escaping.

use crate::{Argument, Error, Result};

const ID_MAX: usize = 128;
const RECORD_NAME_MAX: usize = 256;
const REASON_MAX: usize = 64;
const SCOPE_NAME_MAX: usize = 64;
const SCOPE_DEPTH_MAX: usize = 8;
const KEY_MAX: usize = 1024;

fn is_identifier(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $argument:ident, |$text:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the form.
            ///
            /// # Errors
            /// [`Error::InvalidArgument`] if the form is wrong.
            pub fn parse($text: &str) -> Result<Self> {
                if $check { Ok(Self($text.to_owned())) } else { Err(Error::InvalidArgument(Argument::$argument)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// An upload session's id: 1 to 128 bytes of `A-Z a-z 0-9 - _ . ~`, not beginning with a dot.
    SessionId, SessionId, |text| is_identifier(text, ID_MAX)
}
name! {
    /// A final object's id, of the same form as a [`SessionId`].
    FileId, FileId, |text| is_identifier(text, ID_MAX)
}
name! {
    /// A record's name: identifiers joined by single slashes, at most 256 bytes.
    RecordName, RecordName, |text| text.len() <= RECORD_NAME_MAX && text.split('/').all(|s| is_identifier(s, ID_MAX))
}
name! {
    /// Why an id was voided: 1 to 64 bytes of the charset of identifiers.
    Reason, Reason, |text| is_identifier(text, REASON_MAX)
}
name! {
    /// The position at which a listing continues: the last name of the page before. Opaque to callers.
    Cursor, Cursor, |text| (1..=RECORD_NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
}
name! {
    /// A token of one write: 32 hexadecimal digits of 128 random bits.
    Token, TempKey, |text| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Token {
    /// A new random token.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        Ok(Token(crate::digest::hex(&bytes)))
    }
}

/// A scope: the namespace that a store handle sees. Written as its names joined by dots (a name contains none), so that
/// it is one path component; the root scope is written `main`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

impl Scope {
    /// The widest scope.
    pub fn root() -> Self {
        Scope("main".to_owned())
    }

    /// A narrower scope.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is not 1 to 64 bytes of `A-Z a-z 0-9 - _`, beyond a depth of 8, or
    /// beyond 250 bytes of names with the dots between them.
    pub fn narrow(&self, name: &str) -> Result<Self> {
        let ok = (1..=SCOPE_NAME_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && self.0.split('.').count() <= SCOPE_DEPTH_MAX
            // One path component on every filesystem, the root's name included.
            && self.0.len() + 1 + name.len() <= 255;
        if ok { Ok(Scope(format!("{}.{name}", self.0))) } else { Err(Error::InvalidArgument(Argument::Scope)) }
    }

    /// Parses the written form; `None` if the form is wrong.
    pub fn from_written(text: &str) -> Option<Self> {
        let mut names = text.split('.');
        let root = Scope::root();
        (names.next() == Some(root.as_str())).then_some(())?;
        names.try_fold(root, |scope, name| scope.narrow(name).ok())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of one write of a part, written `SESSION/NUMBER/TOKEN`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TempKey {
    /// The session.
    pub session: SessionId,
    /// The part's number.
    pub number: u32,
    /// The token of the write.
    pub token: Token,
}

impl TempKey {
    /// Parses the written form.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidArgument(Argument::TempKey);
        let mut pieces = text.split('/');
        let (Some(session), Some(number), Some(token), None) =
            (pieces.next(), pieces.next(), pieces.next(), pieces.next())
        else {
            return Err(invalid());
        };
        let key = TempKey {
            session: SessionId::parse(session).map_err(|_| invalid())?,
            number: number.parse().map_err(|_| invalid())?,
            token: Token::parse(token)?,
        };
        // A key has one written form, so that texts can be compared: no `+1`, no `01`.
        if key.to_string() == text { Ok(key) } else { Err(invalid()) }
    }
}

impl std::fmt::Display for TempKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.session, self.number, self.token)
    }
}

/// The location of a final object: a bucket and the full key in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FinalKey {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

impl FinalKey {
    /// A key from a caller, whose pieces are at most 1,024 bytes each; a longer key names nothing.
    pub fn new(bucket: &str, key: &str) -> Option<Self> {
        (bucket.len() <= KEY_MAX && key.len() <= KEY_MAX)
            .then(|| FinalKey { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// A half-open range of bytes; without an end it extends to the end of the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: Option<u64>,
}

impl ByteRange {
    /// The range within content of `size` bytes, as first byte and end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if it ends before it starts, [`Error::OutOfRange`] if it reaches beyond the end.
    pub fn within(&self, size: u64) -> Result<(u64, u64)> {
        let end = self.end.unwrap_or(size);
        if self.end.is_some_and(|end| end < self.start) {
            return Err(Error::InvalidArgument(Argument::Range));
        }
        if self.start > size || end > size {
            return Err(Error::OutOfRange { size });
        }
        Ok((self.start, end))
    }
}
