//! The one error type of the backends.
//!
//! Goals: its cases are those of the WIT variant `error`, so the translation loses nothing; faults of the caller differ
//! from faults of the host; a host fault keeps its whole cause for the log.

use std::error::Error as StdError;

/// A result with the error of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn StdError + Send + Sync>;

/// Why an operation failed. See `error` in `portico:storage` for what each case promises.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name exists in this scope.
    #[error("not found")]
    NotFound,
    /// The id was voided or deleted and can never exist again; the reason given for it.
    #[error("gone: {0}")]
    Gone(String),
    /// Something else exists under that name, or the version is not the current one.
    #[error("conflict: something else already exists under that name")]
    Conflict,
    /// An object or a tombstone exists under the file id that the part was put for.
    #[error("ended: the file id of the part has an object or a tombstone")]
    Ended,
    /// An argument does not have its documented form.
    #[error("invalid argument: {0}")]
    InvalidArgument(Argument),
    /// The range reaches beyond the end of content of this size, in bytes.
    #[error("range beyond the end of {size} bytes")]
    OutOfRange {
        /// Size of the content in bytes.
        size: u64,
    },
    /// The content's length is not the expected one.
    #[error("size mismatch: expected {expected} bytes, found {actual}")]
    SizeMismatch {
        /// Expected size in bytes.
        expected: u64,
        /// Size found in bytes; `expected + 1` for any content that is too long.
        actual: u64,
    },
    /// The content's SHA-256 is not the expected one.
    #[error("digest mismatch")]
    DigestMismatch,
    /// The content exceeds this limit, in bytes.
    #[error("too large: the limit is {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source failed or was cut off, or the put was interrupted, after this many bytes.
    #[error("interrupted after {received} bytes")]
    Interrupted {
        /// Bytes that had arrived; none of them was kept.
        received: u64,
    },
    /// The source sent nothing for longer than the host waits, after this many bytes.
    #[error("stalled after {received} bytes")]
    Stalled {
        /// Bytes that had arrived; none of them was kept.
        received: u64,
    },
    /// No room is left.
    #[error("no space left")]
    NoSpace,
    /// The storage denies access to the backend.
    #[error("denied by the backend")]
    Denied(#[source] Cause),
    /// The backend is unavailable at present.
    #[error("the backend is unavailable")]
    Unavailable {
        /// Seconds after which a retry makes sense.
        retry_after: Option<u32>,
        /// The cause.
        #[source]
        cause: Cause,
    },
    /// The host failed in a way that the caller cannot repair.
    #[error("internal error")]
    Internal(#[source] Cause),
}

/// Arguments that can be invalid; the cases of the WIT enum `argument`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is documented in the WIT, under the same name")]
pub enum Argument {
    Scope,
    SessionId,
    TempKey,
    FileId,
    Range,
    Expected,
    Offset,
    ContentType,
    Metadata,
    Parts,
    RecordName,
    Reason,
    Limit,
    Cursor,
    Content,
}

impl std::fmt::Display for Argument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Argument::Scope => "scope",
            Argument::SessionId => "session-id",
            Argument::TempKey => "temp-key",
            Argument::FileId => "file-id",
            Argument::Range => "range",
            Argument::Expected => "expected",
            Argument::Offset => "offset",
            Argument::ContentType => "content-type",
            Argument::Metadata => "metadata",
            Argument::Parts => "parts",
            Argument::RecordName => "record-name",
            Argument::Reason => "reason",
            Argument::Limit => "limit",
            Argument::Cursor => "cursor",
            Argument::Content => "content",
        })
    }
}

impl Error {
    /// A host fault with its cause.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Error::Internal(cause.into())
    }

    /// A transient host fault with its cause.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Error::Unavailable { retry_after: None, cause: cause.into() }
    }

    /// The error and its causes in one line, for a log.
    pub fn told(&self) -> String {
        chain(self)
    }

    /// A copy of the error, for a writer that failed and is called again. The first error carries the cause.
    #[must_use]
    pub fn repeat(&self) -> Self {
        let cause = || Cause::from("failed before; the cause was reported then");
        match self {
            Error::NotFound => Error::NotFound,
            Error::Gone(reason) => Error::Gone(reason.clone()),
            Error::Ended => Error::Ended,
            Error::Conflict => Error::Conflict,
            Error::InvalidArgument(argument) => Error::InvalidArgument(*argument),
            Error::OutOfRange { size } => Error::OutOfRange { size: *size },
            Error::SizeMismatch { expected, actual } => Error::SizeMismatch { expected: *expected, actual: *actual },
            Error::DigestMismatch => Error::DigestMismatch,
            Error::TooLarge { limit } => Error::TooLarge { limit: *limit },
            Error::Interrupted { received } => Error::Interrupted { received: *received },
            Error::Stalled { received } => Error::Stalled { received: *received },
            Error::NoSpace => Error::NoSpace,
            Error::Denied(_) => Error::Denied(cause()),
            Error::Unavailable { retry_after, .. } => Error::Unavailable { retry_after: *retry_after, cause: cause() },
            Error::Internal(_) => Error::Internal(cause()),
        }
    }
}

/// Returns an error and its causes in one line, for a person: `outer: cause: cause of the cause`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
