//! The progress events of a transfer.

use crate::error::Error;
use std::time::Duration;

/// An event of a transfer.
pub enum Event<'e> {
    /// The transfer starts or resumes.
    Begins {
        /// Size of the file in bytes, if known.
        size: Option<u64>,
        /// Bytes that an earlier run has transferred.
        there: u64,
    },
    /// Bytes of the file that have been transferred so far. Shrinks when content must be sent again.
    At(u64),
    /// An attempt failed, and is retried.
    TriesAgain {
        /// The failure.
        error: &'e Error,
        /// The time before the next attempt.
        wait: Duration,
    },
    /// All content was sent, and the server assembles the file.
    Finishes,
    /// The digests of the whole file are compared.
    Compares,
}

/// A receiver of events. Called from several threads.
pub trait Observer: Send + Sync {
    /// Receives an event. Must return quickly.
    fn tell(&self, event: Event<'_>);
}
