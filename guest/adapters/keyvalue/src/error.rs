//! The errors of the interface, which both versions share.

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// No bucket can have this name.
    NoSuchStore,
    /// The storage backend denied access to the host.
    AccessDenied,
    /// Any other reason, for a person.
    Other(String),
}

/// A result with this error.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn other(text: impl Into<String>) -> Error {
        Error::Other(text.into())
    }
}

impl From<portico_guest::Error> for Error {
    fn from(error: portico_guest::Error) -> Error {
        match error {
            portico_guest::Error::Denied => Error::AccessDenied,
            other => Error::Other(other.to_string()),
        }
    }
}
