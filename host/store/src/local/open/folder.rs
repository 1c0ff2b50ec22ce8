//! The folder of a store, locked for this process.

use rustix::fs::FlockOperation;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open folder. Holds an advisory lock (`flock(2)`) after [`Folder::try_lock`] has succeeded; dropping it releases
/// the lock. Everything that may still change the folder holds a share of this.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// An open folder without a lock.
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Folder(dir)
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// `WOULDBLOCK` if another process has the lock.
    pub(crate) fn try_lock(&self) -> rustix::io::Result<()> {
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
        // Closing alone would leave the lock with a child process that was just forked and has not started its program
        // yet.
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the lock on a store's folder ends with this process's last descriptor of it");
        }
    }
}
