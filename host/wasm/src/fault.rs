//! An error on its way to a guest.
//!
//! Invariants: a host fault is logged once, here, with its whole cause and an id; what goes on to the guest holds
//! the id at most. So `Display` and `Debug`, which a guest can read through `to-debug-string`, name the case alone.
//! (wasmtime adds a backtrace of the host there, as for every error, if the environment asks for backtraces of
//! libraries; `RUST_LIB_BACKTRACE=0` takes it out.)

use portico_store::guard::ReadOnly;
use portico_store::{Error, chain};
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

/// An error that has been logged if it is the host's fault. Clones are the same error, with the same id.
#[derive(Clone)]
pub(crate) struct Fault {
    error: Arc<Error>,
    id: Option<Arc<str>>,
}

impl Fault {
    /// An error that tells an operator nothing, such as one that a guest may cause as often as it likes.
    pub(crate) fn unlogged(error: Error) -> Self {
        Fault { error: Arc::new(error), id: None }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// The id of the log entry, 16 hexadecimal digits; empty for what was not logged.
    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let id = match &error {
            // A rule of the embedder refused, which a guest may cause as often as it likes.
            error if ReadOnly::caused(error) => None,
            Error::Internal(_) | Error::Denied(_) | Error::Unavailable { .. } => {
                let id = correlation_id();
                tracing::error!(id, error = chain(&error), "storage failed");
                Some(id.into())
            }
            _ => None,
        };
        Fault { error: Arc::new(error), id }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        if let Some(id) = &self.id { write!(f, " (id {id})") } else { Ok(()) }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Random enough to find one entry in a log, and no secret. The keys of `RandomState` come from the system.
fn correlation_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
