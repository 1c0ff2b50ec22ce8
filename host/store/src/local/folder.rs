//! The folder of a store, which is locked for this process.

use rustix::fs::FlockOperation;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open folder, with an advisory lock (flock(2)) on it once that was had. The lock ends when this is dropped, so whatever
/// may still change something in the folder holds a share of this.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// An open folder without a lock.
    pub(super) fn new(dir: OwnedFd) -> Self {
        Folder(dir)
    }

    /// Locks it.
    ///
    /// # Errors
    /// `WOULDBLOCK` if somebody else has the lock.
    pub(super) fn try_lock(&self) -> rustix::io::Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive)
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
