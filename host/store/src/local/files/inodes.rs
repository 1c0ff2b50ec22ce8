//! The identity of a store's folders and of its index while it is open.

use crate::local::files::disk::Disk;
use crate::local::files::layout::{FINAL, INDEX, STAGING, TEMP};
use crate::{Error, Result};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

/// The folders and files without which a store can't work. SQLite's log exists from the first change on.
const NEEDED: [&str; 5] = [STAGING, TEMP, FINAL, INDEX, "index.sqlite-wal"];

/// The store's folders and its index at its opening. They are held open, so that their inode numbers are not reused.
#[derive(Default)]
pub(crate) struct Inodes([OnceLock<(OwnedFd, u64)>; NEEDED.len()]);

impl Inodes {
    /// Checks that the folders and the index are those of the opening. A put would create a missing folder again and
    /// succeed, although the files of the old one are lost. What SQLite writes to a file without a name is lost at the
    /// end.
    pub(crate) fn check(&self, disk: &Disk, root: &Path) -> Result<()> {
        for (name, known) in NEEDED.iter().zip(&self.0) {
            let is_same = match disk.hold(name.as_ref())? {
                Some((fd, now)) => known.get_or_init(|| (fd, now)).1 == now,
                None => known.get().is_none() && name.ends_with("-wal"),
            };
            if !is_same {
                let path = root.join(name);
                return Err(Error::internal(format!("{} was removed or replaced while it is in use", path.display())));
            }
        }
        Ok(())
    }
}
