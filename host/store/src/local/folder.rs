//! The folder of a store, locked for this process.

use rustix::fs::FlockOperation;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open folder with an advisory lock (flock(2)) on it, which ends when this is dropped. Whatever still changes something
/// in the folder holds a share of this.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Locks an open folder.
    ///
    /// # Errors
    /// `WOULDBLOCK` if somebody else has the lock.
    pub(super) fn lock(dir: OwnedFd) -> Result<Self, (OwnedFd, rustix::io::Errno)> {
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Folder(dir)),
            Err(error) => Err((dir, error)),
        }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child process that was just forked and has not begun its program yet.
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the lock on a store's folder ends with this process's last descriptor of it");
        }
    }
}
