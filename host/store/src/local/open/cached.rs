//! Cached pages that may differ from the disk, and how opening a store deals with them.
//!
//! The previous process may have seen a sync fail. Then the kernel still shows the written bytes, marks their pages as
//! clean, and never writes them again. Moreover, ext4 keeps the block of a page whose first write has failed marked as
//! unwritten: the page can be written and synced again, and is empty all the same after the next mount. Both effects
//! end when the kernel drops the page from its cache, and do not concern a new file.

use crate::local::files::layout::{INDEX, LOG, NEW_LOG};
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use rustix::fs::{Advice, OFlags, fadvise};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};

/// Drops the clean pages of a file from the kernel's cache.
pub(crate) fn forget(file: impl AsFd) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

impl Root {
    /// Ensures that SQLite reads what the disk has. The log is copied into a new file, which is synced and renamed over
    /// the log; the content is the same, so a loss of power at any moment does no harm. Writing the log back would take
    /// many writes, and a loss of power between them would leave the main file torn. Each page of the main file that is
    /// not in the log was synced; the kernel drops it from its cache, so that it can be written again.
    ///
    /// Without any room for a copy, the log is synced and dropped from the cache as well. Then SQLite reads what the
    /// disk has.
    ///
    /// # Errors
    /// [`OpenError::Io`]; the log is unchanged then.
    pub(crate) fn replace_log(&self, is_room_left: bool) -> Result<(), OpenError> {
        match self.renew_log() {
            Err(error) if error.is_lack_of_room() && !is_room_left => self.reread(LOG)?,
            renewed => renewed?,
        }
        self.reread(INDEX)?;
        // This also syncs the names of the index, of `format` and of the folders, whose sync may have failed as well.
        self.sync()
    }

    fn renew_log(&self) -> Result<(), OpenError> {
        self.remove(NEW_LOG)?;
        let old = match self.open_in(LOG, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => Some(File::from(fd)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(OpenError::io(self.at(LOG), error)),
        };
        // A missing log becomes an empty one, so that its name is durable before anything depends on it.
        let new = self.open_file(NEW_LOG, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let copied = old.map_or(Ok(()), |old| copy(old, &new)).and_then(|()| new.sync_all());
        if let Err(error) = copied {
            // Removed, because the disk may be full.
            let _ = self.remove(NEW_LOG);
            return Err(OpenError::io(self.at(LOG), error));
        }
        let dir = self.dir();
        rustix::fs::renameat(&dir, NEW_LOG, &dir, LOG).map_err(|error| OpenError::io(self.at(LOG), error))
    }

    fn reread(&self, name: &str) -> Result<(), OpenError> {
        let file = match self.open_in(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(OpenError::io(self.at(name), error)),
        };
        let synced = rustix::fs::fdatasync(&file).map_err(io::Error::from);
        synced.and_then(|()| forget(&file)).map_err(|error| OpenError::io(self.at(name), error))
    }
}

/// Copies a log, its owner and its mode.
fn copy(mut old: File, mut new: &File) -> io::Result<()> {
    let metadata = old.metadata()?;
    new.set_permissions(metadata.permissions())?;
    let own = new.metadata()?;
    // As SQLite does: only root may change the owner of a file.
    if rustix::process::geteuid().is_root() && (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(new, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    io::copy(&mut old, &mut new).map(drop)
}
