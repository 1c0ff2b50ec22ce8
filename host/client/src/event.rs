//! The progress events of a transfer.

use crate::error::Error;
use std::time::Duration;

/// An event of a transfer.
pub enum Event<'e> {
    /// The transfer starts or resumes.
    Started {
        /// Size of the file in bytes, if known.
        size: Option<u64>,
        /// Bytes that an earlier run has transferred.
        already: u64,
    },
    /// Bytes of the file that have been transferred so far. Shrinks when content must be sent again.
    Transferred(u64),
    /// An attempt failed, and is retried.
    Retrying {
        /// The failure.
        error: &'e Error,
        /// The time before the next attempt.
        wait: Duration,
    },
    /// All content was sent, and the server assembles the file.
    Finalizing,
    /// The digests of the whole file are compared.
    Comparing,
}

/// A receiver of events. Called from several threads.
pub trait Observer: Send + Sync {
    /// Receives an event. Must return quickly.
    fn report(&self, event: Event<'_>);
}
