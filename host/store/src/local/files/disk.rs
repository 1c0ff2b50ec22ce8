//! Every change to the files of a local store, and every opening of one.
//!
//! Invariants: a path is relative to the root and is resolved beneath it, following no symlink and crossing no mount;
//! an opened file is a regular file; nothing that exists is replaced; a file whose sync failed is not synced again;
//! after a folder's sync has failed, nothing more is created. All functions block, but never on a planted pipe.

use crate::limits::WRITE_CHUNK;
use crate::local::files::aside::Opened;
use crate::local::files::health::Health;
use crate::local::files::reserve::Reserve;
use crate::local::files::steps::Steps;
use crate::local::files::syncs::FolderSyncs;
use crate::local::open::folder::Folder;
use crate::{Error, Result};
use bytes::Bytes;
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);

/// The properties of a name's file or folder.
pub(crate) struct Stat {
    /// Its inode number.
    pub(crate) inode: u64,
    /// The number of its names.
    pub(crate) links: u64,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether it is a regular file.
    pub(crate) is_file: bool,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
}

/// The files of one store.
pub(crate) struct Disk {
    root: Arc<Folder>,
    durable: bool,
    reserve: Option<Arc<Reserve>>,
    health: Arc<Health>,
    /// Held for reading while a folder is created; its holder for writing knows that all folders are durable.
    making: RwLock<()>,
    syncs: FolderSyncs,
    steps: Arc<Steps>,
}

impl Disk {
    /// The files beneath an open folder. Without `durable` nothing is synced.
    pub(crate) fn new(
        root: Arc<Folder>,
        durable: bool,
        reserve: Option<Arc<Reserve>>,
        health: Arc<Health>,
        steps: Arc<Steps>,
    ) -> Self {
        let syncs = FolderSyncs::new(health.clone());
        Disk { root, durable, reserve, health, making: RwLock::default(), syncs, steps }
    }

    /// Reports a step; see [`Steps::step`].
    pub(crate) fn step(&self, name: &'static str) -> Result<()> {
        self.steps.step(name)
    }

    /// Checks that an operation that needs room may begin.
    ///
    /// # Errors
    /// [`Error::NoSpace`] while the reserve is given up; [`Error::Unavailable`] once the disk has failed.
    pub(crate) fn room(&self) -> Result<()> {
        self.health.check()?;
        if self.reserve.as_ref().is_none_or(|reserve| reserve.is_whole()) { Ok(()) } else { Err(Error::NoSpace) }
    }

    /// Whether the filesystem, a quota or a limit refuses room now.
    pub(crate) fn is_full(&self) -> bool {
        self.room().is_err() || self.reserve.as_ref().is_some_and(|reserve| reserve.is_full())
    }

    /// Creates a file for reading and writing, and its missing folder.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file exists.
    pub(crate) fn create(&self, path: &Path) -> Result<Opened> {
        self.step("create")?;
        self.room()?;
        let made = self.make(path)?;
        made.ok_or_else(|| Error::internal(format!("{} is there already", path.display())))
    }

    /// Opens a file for reading and writing, and creates it and its folder if they are missing. Returns whether it did.
    pub(crate) fn open_or_create(&self, path: &Path) -> Result<(Opened, bool)> {
        self.step("create")?;
        self.room()?;
        loop {
            match self.make(path)? {
                Some(file) => return Ok((file, true)),
                // The file may vanish between the two attempts.
                None => match self.open(path, OFlags::RDWR) {
                    Ok(fd) => return Ok((regular(fd)?, false)),
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(fault_of(error)),
                },
            }
        }
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open_rw(&self, path: &Path) -> Result<Opened> {
        regular(self.open(path, OFlags::RDWR)?)
    }

    /// Opens a regular file for reading; `None` if it does not exist.
    pub(crate) fn open_read(&self, path: &Path) -> Result<Option<Opened>> {
        match self.open(path, OFlags::RDONLY) {
            Ok(fd) => regular(fd).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(fault_of(error)),
        }
    }

    /// Creates a folder and its ancestors, durably.
    pub(crate) fn ensure_dir(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || self.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        self.ensure_dir(parent)?;
        self.step("mkdir")?;
        let _making = self.making.read().unwrap_or_else(PoisonError::into_inner);
        match rustix::fs::mkdirat(self.dir(parent)?, name_of(path)?, DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => self.sync_names(parent),
            Err(error) => Err(fault_of(error)),
        }
    }

    /// Gives a file a second name; false if that name is taken. Creates the missing folder of the new name.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> Result<bool> {
        self.step("link")?;
        let parent = to.parent().unwrap_or(Path::new(""));
        let old = self.dir(from.parent().unwrap_or(Path::new("")))?;
        let new = match self.open_dir(parent) {
            Err(Errno::NOENT) => {
                self.ensure_dir(parent)?;
                self.dir(parent)?
            }
            dir => dir.map_err(fault_of)?,
        };
        let linked = rustix::fs::linkat(old, name_of(from)?, new, name_of(to)?, AtFlags::empty());
        self.step("linked")?;
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(fault_of(error)),
        }
    }

    /// Removes a file's name; false if it did not exist.
    pub(crate) fn unlink(&self, path: &Path) -> Result<bool> {
        self.step("unlink")?;
        let removed = self.remove(path, AtFlags::empty());
        // Retakes the reserve as soon as there is room for it.
        self.reserve.as_ref().map(|reserve| reserve.is_whole());
        removed
    }

    /// Removes a folder if it is empty; false if it is not empty or does not exist.
    pub(crate) fn remove_dir(&self, path: &Path) -> Result<bool> {
        self.step("rmdir")?;
        self.remove(path, AtFlags::REMOVEDIR)
    }

    /// Frees the room of a range of bytes of a file. Where that fails, the room stays taken until the file is removed.
    pub(crate) fn give_back(&self, file: &File, start: u64, end: u64) {
        if start < end && self.step("give back").is_ok() {
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if let Err(error) = rustix::fs::fallocate(file, mode, start, end - start) {
                tracing::debug!(%error, start, end, "the room of a failed part stays taken");
            }
        }
    }

    /// Writes frames to a file, from byte `at` on, in short writes; see [`WRITE_CHUNK`].
    pub(crate) fn write(&self, file: &File, mut at: u64, frames: &[Bytes]) -> Result<()> {
        self.step("write")?;
        self.room()?;
        for frame in frames {
            let mut rest = &frame[..];
            while !rest.is_empty() {
                let to_boundary = WRITE_CHUNK - (at % WRITE_CHUNK as u64) as usize;
                let piece = &rest[..rest.len().min(to_boundary)];
                let written = match rustix::io::pwrite(file, piece, at) {
                    Ok(0) => return Err(Error::internal("a write took no bytes")),
                    Ok(written) => written,
                    Err(Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                at += written as u64;
                rest = &rest[written..];
            }
        }
        Ok(())
    }

    /// Makes a file's content durable. After a failure its bytes count as lost.
    pub(crate) fn sync_file(&self, file: &File) -> Result<()> {
        self.step("sync file")?;
        if self.durable {
            rustix::fs::fdatasync(file)?;
        }
        Ok(())
    }

    /// Makes the names in a folder durable, and the folder itself: another operation may have created the folder and be
    /// syncing its name.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<()> {
        if self.durable {
            drop(self.making.write().unwrap_or_else(PoisonError::into_inner));
        }
        self.sync_names(path)
    }

    fn sync_names(&self, path: &Path) -> Result<()> {
        self.step("sync folder")?;
        if !self.durable {
            return Ok(());
        }
        let dir = self.dir(path)?;
        self.syncs.sync(path, move || Ok(rustix::fs::fsync(dir)?))
    }

    /// Lists the names in a folder whose inode number is wanted; empty if the folder does not exist, `None` if the path
    /// names something else.
    pub(crate) fn list(&self, path: &Path, wanted: impl Fn(u64) -> bool) -> Result<Option<Vec<String>>> {
        let dir = match self.open_dir(path) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(Some(Vec::new())),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            Err(error) => return Err(fault_of(error)),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." && wanted(entry.ino()) {
                names.push(name.into_owned());
            }
        }
        Ok(Some(names))
    }

    /// Calls `each` with each name in a folder, until `each` returns false. A missing folder has no names. Returns
    /// false if the path names something else.
    pub(crate) fn each_name(&self, path: &Path, mut each: impl FnMut(&str) -> Result<bool>) -> Result<bool> {
        let dir = match self.open_dir(path) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(true),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(false),
            Err(error) => return Err(fault_of(error)),
        };
        for entry in rustix::fs::Dir::new(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." && !each(&name)? {
                break;
            }
        }
        Ok(true)
    }

    /// Holds a file or folder open, so that its inode number is not reused; `None` if it does not exist.
    pub(crate) fn hold(&self, path: &Path) -> Result<Option<(OwnedFd, u64)>> {
        match self.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => {
                let inode = rustix::fs::fstat(&fd)?.st_ino;
                Ok(Some((fd, inode)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(error) => Err(fault_of(error)),
        }
    }

    /// The properties of a name; `None` if it does not exist, or if its path leads out of the root.
    pub(crate) fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => {
                let stat = rustix::fs::fstat(fd)?;
                let size = stat.st_size.cast_unsigned();
                let kind = FileType::from_raw_mode(stat.st_mode);
                Ok(Some(Stat {
                    inode: stat.st_ino,
                    links: stat.st_nlink,
                    size,
                    is_file: kind == FileType::RegularFile,
                    is_folder: kind == FileType::Directory,
                }))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(error) => Err(fault_of(error)),
        }
    }

    fn remove(&self, path: &Path, flags: AtFlags) -> Result<bool> {
        let parent = match self.open_dir(path.parent().unwrap_or(Path::new(""))) {
            Err(Errno::NOENT) => return Ok(false),
            parent => parent?,
        };
        match rustix::fs::unlinkat(parent, name_of(path)?, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(false),
            Err(error) => Err(fault_of(error)),
        }
    }

    /// Creates a file and its missing folder; `None` if the file exists.
    fn make(&self, path: &Path) -> Result<Option<Opened>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        // Clearing a session removes its empty folder, so the folder may vanish between its creation and its use.
        for _ in 0..100 {
            match self.open(path, flags) {
                Ok(fd) => return regular(fd).map(Some),
                Err(Errno::EXIST) => return Ok(None),
                Err(Errno::NOENT) => self.ensure_dir(path.parent().unwrap_or(Path::new("")))?,
                Err(error) => return Err(fault_of(error)),
            }
        }
        Err(Error::unavailable("a folder was removed each time it was created"))
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let wait = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
        loop {
            match rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC | wait, mode, resolve) {
                // The kernel could not rule out that a concurrent rename leads out of the root.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }

    fn open_dir(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn dir(&self, path: &Path) -> Result<OwnedFd> {
        self.open_dir(path).map_err(fault_of)
    }
}

fn regular(fd: OwnedFd) -> Result<Opened> {
    let file = File::from(fd);
    if file.metadata()?.is_file() {
        Ok(file.into())
    } else {
        Err(Error::internal("a path does not name a regular file"))
    }
}

fn name_of(path: &Path) -> Result<&std::ffi::OsStr> {
    path.file_name().ok_or_else(|| Error::internal("a path without a name"))
}

fn fault_of(error: Errno) -> Error {
    Error::from(std::io::Error::from(error))
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        fault_of(error)
    }
}

impl From<std::io::Error> for Error {
    /// The one translation of filesystem errors. A limit on the size of files is a lack of room too.
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Error::NoSpace,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::Denied(error.into()),
            _ if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => Error::unavailable(error),
            _ => Error::internal(error),
        }
    }
}
