//! The one error type of the storage operations.
//!
//! Goals: the cases are those of the WIT variant `error` and nothing is lost between the two; no caller ever
//! parses a text; an error that travelled through `std::io` comes out of it as it went in.

use crate::bindings::portico::storage::storage as wit;
use std::{fmt, io, time::Duration};

pub use wit::Argument;

/// A result with the error of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. Closed, as in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing of that name exists in this scope.
    #[error("not found")]
    NotFound,
    /// It existed or was voided, and can never exist again.
    #[error("gone: {reason}")]
    Gone {
        /// What `void_final` was given, or `deleted`.
        reason: String,
    },
    /// Something else already exists under that name, or the version is not the current one.
    #[error("conflict with what already exists")]
    Conflict,
    /// There is an object or a tombstone under the file id that a part was put for.
    #[error("what the part was put for has ended")]
    Ended,
    /// An argument does not have its documented form.
    #[error("invalid argument: {0}")]
    InvalidArgument(Argument),
    /// The range begins or ends beyond the end.
    #[error("range beyond the end of {size} bytes")]
    OutOfRange {
        /// Size of the content in bytes.
        size: u64,
    },
    /// The content's length is not the expected one.
    #[error("expected {expected} bytes, found {actual}")]
    SizeMismatch {
        /// The expected size in bytes.
        expected: u64,
        /// The size found in bytes; `expected + 1` for any content that is too long.
        actual: u64,
    },
    /// The content's SHA-256 is not the expected one.
    #[error("the digest is not the expected one")]
    DigestMismatch,
    /// The content exceeds a limit.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source failed or was cut off, or the put was interrupted. Nothing is kept.
    #[error("interrupted after {received} bytes")]
    Interrupted {
        /// Bytes that had arrived.
        received: u64,
    },
    /// The source stood still for longer than the host waits for it. Nothing is kept.
    #[error("stalled after {received} bytes")]
    Stalled {
        /// Bytes that had arrived.
        received: u64,
    },
    /// The backend has no room left. Reads and deletes still work.
    #[error("no space left in the store")]
    NoSpace,
    /// The backend refuses the host's credentials or permissions.
    #[error("the store refuses access")]
    Denied,
    /// The backend does not answer at present.
    #[error("the store is unavailable at present")]
    Unavailable {
        /// Time after which a retry makes sense, where known.
        retry_after: Option<Duration>,
    },
    /// The host failed in a way that a guest cannot mend.
    #[error("the host failed; its log has the cause under {id}")]
    Internal {
        /// The id under which the host's log has the cause.
        id: String,
    },
}

impl Error {
    /// The storage error that `error` carries, if it carries one: the way back from [`std::io`].
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
            // Not `Interrupted`: the standard library takes that as an invitation to try again at once.
            Error::Interrupted { .. } => io::ErrorKind::UnexpectedEof,
            Error::Stalled { .. } => io::ErrorKind::TimedOut,
            Error::NoSpace => io::ErrorKind::StorageFull,
            Error::Denied => io::ErrorKind::PermissionDenied,
            Error::Unavailable { .. } | Error::Internal { .. } => io::ErrorKind::Other,
        }
    }
}

/// Keeps the error whole: [`Error::of_io`] finds it again.
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

/// The argument's name in the WIT.
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
