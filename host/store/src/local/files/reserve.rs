//! Room on the filesystem that is reserved for changes that free room.
//!
//! A delete or a tombstone needs some room in the index before any room is freed, so a file holds [`RESERVE`] bytes for
//! it. Invariants: the reserve is given up for such a change and for nothing else; it is retaken only after that change
//! is done; until then, nothing begins that needs room, so that the next delete finds room.

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reserved bytes: the index's log at its full length, and some ten thousand tombstones.
pub(crate) const RESERVE: u64 = 8 << 20;

/// The reserve of a store.
pub(crate) struct Reserve {
    state: Mutex<State>,
    /// Whether the file is empty, for a look without the lock.
    spent: AtomicBool,
}

struct State {
    file: File,
    lent: bool,
}

impl Reserve {
    /// Opens the reserve in a file, and fills it if there is room.
    ///
    /// # Errors
    /// A failure of the filesystem other than lack of room.
    pub(crate) fn open(mut file: File) -> io::Result<Self> {
        let spent = !fill(&mut file)?;
        if spent {
            tracing::warn!(bytes = RESERVE, "no room for the reserve: only reads and deletes until there is");
        }
        Ok(Reserve { state: Mutex::new(State { file, lent: false }), spent: AtomicBool::new(spent) })
    }

    /// Whether an operation that needs room may begin. Retakes a reserve that was given up, if there is room.
    pub(crate) fn is_whole(&self) -> bool {
        if !self.is_spent() {
            return true;
        }
        let mut state = self.state();
        if self.is_spent() && !state.lent {
            match fill(&mut state.file) {
                Ok(filled) => self.spent.store(!filled, Ordering::Relaxed),
                Err(error) => tracing::error!(%error, "the reserve can't be taken again"),
            }
        }
        !self.is_spent()
    }

    /// Whether the reserve was given up and has not been retaken since.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Gives the reserve up for work that frees room in the end. One caller at a time does it.
    pub(crate) fn lend<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        if !self.spent.swap(true, Ordering::Relaxed) {
            tracing::warn!(bytes = RESERVE, "no room left: the reserve goes to a delete");
        }
        if let Err(error) = state.file.set_len(0) {
            tracing::error!(%error, "the reserve can't be given up");
        }
        state.lent = true;
        drop(state);
        let result = work();
        self.state().lent = false;
        result
    }

    /// Whether the filesystem, a quota or a limit refuses room now. Tells a lack of room from another fault where the
    /// fault itself does not.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state();
        let asked = fallocate(&state.file, FallocateFlags::empty(), RESERVE, RESERVE / 8);
        let cut = state.file.set_len(if self.is_spent() { 0 } else { RESERVE });
        matches!(asked, Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) || cut.is_err()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills the file to its full size; false, and an empty file, if there is no room.
fn fill(file: &mut File) -> io::Result<bool> {
    let len = file.metadata()?.len();
    // Asked first, because trying is work for a full filesystem. A file of its full size has its room.
    if len < RESERVE && fstatvfs(&*file).is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < RESERVE) {
        return Ok(false);
    }
    let filled = loop {
        match fallocate(&*file, FallocateFlags::empty(), 0, RESERVE) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP) if len >= RESERVE => break Ok(()),
            Err(Errno::OPNOTSUPP) => break write_through(file),
            filled => break filled.map_err(io::Error::from),
        }
    };
    match filled {
        Ok(()) => Ok(true),
        Err(error) => {
            file.set_len(0)?;
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Ok(false),
                _ => Err(error),
            }
        }
    }
}

/// For filesystems that can't preallocate blocks: bytes that can't be compressed.
fn write_through(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let noise = blake3::Hasher::new().update(b"portico reserve").finalize_xof();
    io::copy(&mut io::Read::take(noise, RESERVE), file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_given_up_and_taken_again() {
        let mut file = tempfile::tempfile().unwrap();
        let size = |file: &File| file.metadata().unwrap().len();
        let watch = file.try_clone().unwrap();
        let reserve = Reserve::open(file.try_clone().unwrap()).unwrap();
        assert!(!reserve.is_spent() && size(&watch) == RESERVE);
        assert!(!reserve.is_full() && size(&watch) == RESERVE);
        reserve.lend(|| {
            assert!(!reserve.is_whole() && size(&watch) == 0, "not taken again while it is lent");
            assert!(!reserve.is_full() && size(&watch) == 0);
        });
        assert!(reserve.is_spent());
        assert!(reserve.is_whole() && !reserve.is_spent() && size(&watch) == RESERVE);
        drop(reserve);
        file.set_len(0).unwrap();
        write_through(&mut file).unwrap();
        assert_eq!(size(&watch), RESERVE);
        assert!(!Reserve::open(file).unwrap().is_spent(), "what is there is used");
    }
}
