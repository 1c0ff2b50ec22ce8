//! The error type of all storage operations.
//!
//! Invariants: the cases and payloads are those of the WIT variant `error`; no caller has to parse a text; an error
//! that passes through `std::io` can be recovered unchanged.

use crate::bindings::portico::storage::storage as wit;
use std::{fmt, io, time::Duration};

pub use wit::Argument;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. The list is closed, as in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such part, object or record exists in this scope.
    #[error("not found")]
    NotFound,
    /// The object was deleted, or its file id was voided.
    #[error("gone: {reason}")]
    Gone {
        /// The reason that `void_final` was given, or `deleted`.
        reason: String,
    },
    /// The name is taken, the record has another version, or another assembly of the same sessions is running.
    #[error("conflict: the name is taken, or another version is current")]
    Conflict,
    /// An object or a tombstone exists under the file id that a part was put for.
    #[error("the session of the part has ended")]
    Ended,
    /// An argument does not have its documented form.
    #[error("invalid argument: {0}")]
    InvalidArgument(Argument),
    /// The range begins or ends beyond the end of the content.
    #[error("range beyond the end of {size} bytes")]
    OutOfRange {
        /// The size of the content in bytes.
        size: u64,
    },
    /// The content's size is not the expected one.
    #[error("expected {expected} bytes, found {actual}")]
    SizeMismatch {
        /// The expected size in bytes.
        expected: u64,
        /// The size found in bytes; `expected + 1` for content that is too long.
        actual: u64,
    },
    /// The content's SHA-256 is not the expected one.
    #[error("digest mismatch")]
    DigestMismatch,
    /// The content exceeds a limit.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source failed or was cut off, or another call ended the operation. No byte is kept.
    #[error("interrupted after {received} bytes")]
    Interrupted {
        /// The number of bytes that had arrived.
        received: u64,
    },
    /// The source delivered nothing for longer than the host waits. No byte is kept.
    #[error("stalled after {received} bytes")]
    Stalled {
        /// The number of bytes that had arrived.
        received: u64,
    },
    /// The backend has no space left. Reads and deletes still work.
    #[error("no space left in the storage backend")]
    NoSpace,
    /// The backend denied access to the host: its credentials or permissions are not sufficient.
    #[error("the storage backend denied access")]
    Denied,
    /// The backend does not respond at present, or the guest holds too many streams and writers open.
    #[error("the storage backend is unavailable")]
    Unavailable {
        /// The time after which a retry makes sense, where known.
        retry_after: Option<Duration>,
    },
    /// The host failed, and the guest can do nothing about the cause.
    #[error("the host failed; its log has the cause under {id}")]
    Internal {
        /// The id under which the host's log has the cause.
        id: String,
    },
}

impl Error {
    /// Returns the storage error that `error` carries, if any: the way back from [`std::io`].
    ///
    /// ```
    /// # use portico_guest::Error;
    /// let error = std::io::Error::from(Error::NoSpace);
    /// assert_eq!(Error::of_io(&error), Some(&Error::NoSpace));
    /// ```
    #[must_use]
    pub fn of_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Error::NotFound | Error::Gone { .. } => io::ErrorKind::NotFound,
            Error::Conflict | Error::Ended => io::ErrorKind::AlreadyExists,
            Error::InvalidArgument(_) | Error::OutOfRange { .. } => io::ErrorKind::InvalidInput,
            Error::SizeMismatch { .. } | Error::DigestMismatch => io::ErrorKind::InvalidData,
            Error::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            // Not `Interrupted`: the standard library retries that at once.
            Error::Interrupted { .. } => io::ErrorKind::UnexpectedEof,
            Error::Stalled { .. } => io::ErrorKind::TimedOut,
            Error::NoSpace => io::ErrorKind::StorageFull,
            Error::Denied => io::ErrorKind::PermissionDenied,
            Error::Unavailable { .. } | Error::Internal { .. } => io::ErrorKind::Other,
        }
    }
}

/// Wraps the error unchanged: [`Error::of_io`] recovers it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::NotFound => Error::NotFound,
            wit::Error::Gone(reason) => Error::Gone { reason },
            wit::Error::Conflict => Error::Conflict,
            wit::Error::Ended => Error::Ended,
            wit::Error::InvalidArgument(argument) => Error::InvalidArgument(argument),
            wit::Error::OutOfRange(size) => Error::OutOfRange { size },
            wit::Error::SizeMismatch(sizes) => Error::SizeMismatch { expected: sizes.expected, actual: sizes.actual },
            wit::Error::DigestMismatch => Error::DigestMismatch,
            wit::Error::TooLarge(limit) => Error::TooLarge { limit },
            wit::Error::Interrupted(received) => Error::Interrupted { received },
            wit::Error::Stalled(received) => Error::Stalled { received },
            wit::Error::NoSpace => Error::NoSpace,
            wit::Error::Denied => Error::Denied,
            wit::Error::Unavailable(seconds) => {
                Error::Unavailable { retry_after: seconds.map(|seconds| Duration::from_secs(seconds.into())) }
            }
            wit::Error::Internal(id) => Error::Internal { id },
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => wit::Error::NotFound,
            Error::Gone { reason } => wit::Error::Gone(reason),
            Error::Conflict => wit::Error::Conflict,
            Error::Ended => wit::Error::Ended,
            Error::InvalidArgument(argument) => wit::Error::InvalidArgument(argument),
            Error::OutOfRange { size } => wit::Error::OutOfRange(size),
            Error::SizeMismatch { expected, actual } => {
                wit::Error::SizeMismatch(wit::SizeMismatch { expected, actual })
            }
            Error::DigestMismatch => wit::Error::DigestMismatch,
            Error::TooLarge { limit } => wit::Error::TooLarge(limit),
            Error::Interrupted { received } => wit::Error::Interrupted(received),
            Error::Stalled { received } => wit::Error::Stalled(received),
            Error::NoSpace => wit::Error::NoSpace,
            Error::Denied => wit::Error::Denied,
            Error::Unavailable { retry_after } => {
                wit::Error::Unavailable(retry_after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX)))
            }
            Error::Internal { id } => wit::Error::Internal(id),
        }
    }
}

/// Prints the argument's name in the WIT.
impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

#[cfg(test)]
mod tests {
    use super::{Argument, Error, wit};
    use std::{io, time::Duration};

    #[test]
    fn each_case_of_the_contract_keeps_its_payload_and_survives_std_io() {
        let sizes = wit::SizeMismatch { expected: 5, actual: 6 };
        let table = [
            (wit::Error::NotFound, Error::NotFound),
            (wit::Error::Gone("aborted".into()), Error::Gone { reason: "aborted".into() }),
            (wit::Error::Conflict, Error::Conflict),
            (wit::Error::Ended, Error::Ended),
            (wit::Error::InvalidArgument(Argument::Cursor), Error::InvalidArgument(Argument::Cursor)),
            (wit::Error::OutOfRange(7), Error::OutOfRange { size: 7 }),
            (wit::Error::SizeMismatch(sizes), Error::SizeMismatch { expected: 5, actual: 6 }),
            (wit::Error::DigestMismatch, Error::DigestMismatch),
            (wit::Error::TooLarge(9), Error::TooLarge { limit: 9 }),
            (wit::Error::Interrupted(3), Error::Interrupted { received: 3 }),
            (wit::Error::Stalled(4), Error::Stalled { received: 4 }),
            (wit::Error::NoSpace, Error::NoSpace),
            (wit::Error::Denied, Error::Denied),
            (wit::Error::Unavailable(None), Error::Unavailable { retry_after: None }),
            (wit::Error::Unavailable(Some(2)), Error::Unavailable { retry_after: Some(Duration::from_secs(2)) }),
            (wit::Error::Internal("x1".into()), Error::Internal { id: "x1".into() }),
        ];
        for (from, to) in table {
            let error = Error::from(from);
            assert_eq!(error, to);
            let io = io::Error::from(error);
            assert_ne!(io.kind(), io::ErrorKind::Interrupted, "{io}: would be retried without end");
            assert_eq!(Error::of_io(&io), Some(&to));
        }
        assert_eq!(Error::of_io(&io::Error::other("of another kind")), None);
        assert_eq!(Error::of_io(&io::Error::from(io::ErrorKind::NotFound)), None);
    }
}
