//! Whether the disk still keeps what this process writes.
//!
//! After a failed write-back Linux marks the pages as clean: the next sync succeeds, and the bytes exist in memory
//! alone. So a failure of the index or of a folder is final for this process. Invariant: after such a failure no change
//! is acknowledged until the store is opened again; reads continue.

use crate::{Error, Result};
use std::fmt;
use std::sync::OnceLock;

/// The health of a store's disk, as observed by this process.
#[derive(Debug, Default)]
pub(crate) struct Health(OnceLock<String>);

/// A change that was refused before it began.
#[derive(Debug, thiserror::Error)]
#[error("nothing is stored any more since {0}; look at the disk and at the system's log, then start the server again")]
struct Refused(String);

impl Health {
    /// Checks that changes may begin.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after a failure.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.get() {
            None => Ok(()),
            Some(since) => Err(Error::unavailable(Refused(since.clone()))),
        }
    }

    /// Records a final failure. The first one is kept and logged.
    pub(crate) fn fail(&self, what: &str, cause: impl fmt::Display) {
        let mut is_first = false;
        let since = self.0.get_or_init(|| {
            is_first = true;
            format!("{what} failed ({cause})")
        });
        if is_first {
            tracing::error!(
                since,
                "the disk has failed: nothing more is stored until this server is started again; look at the disk first"
            );
        }
    }

    /// Whether a failure was recorded.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.get().is_some()
    }

    /// A copy of the error; that of a refusal has its cause.
    pub(crate) fn repeat(&self, error: &Error) -> Error {
        match self.check() {
            Err(refused) if is_refusal(error) => refused,
            _ => error.repeat(),
        }
    }
}

/// Whether an error says that a change never began, because of an earlier failure.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Unavailable { cause, .. } if cause.is::<Refused>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_final_and_is_told_to_everybody() {
        let health = Health::default();
        assert!(health.check().is_ok() && !health.has_failed());
        health.fail("a commit", "EIO");
        health.fail("another one", "ENOSPC");
        let refused = health.check().unwrap_err();
        assert!(health.has_failed() && is_refusal(&refused) && is_refusal(&health.repeat(&refused)));
        let Error::Unavailable { cause, .. } = &refused else { panic!("{refused:?}") };
        let told = cause.to_string();
        assert!(told.contains("since a commit failed (EIO)") && told.contains("start the server again"), "{told}");
        assert!(!is_refusal(&Error::unavailable("busy")) && !is_refusal(&health.repeat(&Error::internal("x"))));
    }
}
