//! What a client tells while it is at work.

use crate::error::Error;
use std::time::Duration;

/// Something that happened to a transfer.
pub enum Event<'e> {
    /// It begins, or goes on.
    Begins {
        /// Size of the file in bytes, if that is known.
        size: Option<u64>,
        /// Bytes of it that have arrived before, and do not go over the wire again.
        there: u64,
    },
    /// So many bytes of the file have gone over the wire, or need not any more. It goes back where something must be
    /// sent again.
    At(u64),
    /// Something failed, and is tried again.
    TriesAgain {
        /// What failed.
        error: &'e Error,
        /// When.
        wait: Duration,
    },
    /// All has been sent, and the server makes the file.
    Finishes,
    /// The digest of the whole is compared.
    Compares,
}

/// Somebody who wants to know. Told from several threads.
pub trait Observer: Send + Sync {
    /// Tells of an event. Must not take long.
    fn tell(&self, event: Event<'_>);
}
