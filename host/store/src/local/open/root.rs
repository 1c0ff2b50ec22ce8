//! The folder of a local store: its lock, its identity and its integrity.
//!
//! Invariants: one process at a time has the lock, which is on the folder itself and ends with its last share; nothing
//! is created anew beside existing data; a refused folder is unchanged, so all checks come before the first write.

use crate::local::files::health::Health;
use crate::local::files::layout::{
    self, BACKUP, FOLDERS, FORMAT, FORMAT_LINE, HOLDER, INDEX, INDEX_FILES, NEW_FORMAT, NEW_INDEX, NEW_LOG, RESERVE,
};
use crate::local::files::reserve::Reserve;
use crate::local::files::steps::Steps;
use crate::local::index::{self, Index, IndexFault};
use crate::local::open::error::OpenError;
use crate::local::open::facts;
use crate::local::open::folder::Folder;
use crate::{Error, Token};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two attempts at a lock.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// Bytes that are read of `format` and `lock`.
const NOTE_MAX: u64 = 4 << 10;

/// A store's folder, locked.
pub(crate) struct Root {
    path: PathBuf,
    dir: Arc<Folder>,
    described: AtomicBool,
}

/// The content of a folder.
pub(crate) struct Found {
    /// A `format` exists.
    pub(crate) format: bool,
    /// An index exists.
    pub(crate) index: bool,
    /// The folder is marked as a backup.
    pub(crate) backup: bool,
    /// A folder of finals exists, as in any store.
    pub(crate) finals: bool,
    /// Nothing exists that an unfinished new store would not have.
    pub(crate) beginning: bool,
}

impl Root {
    /// Opens a folder without its lock, to read its content.
    pub(crate) fn open_unlocked(path: &Path) -> Result<Self, OpenError> {
        // The path to the folder may lead through symlinks; paths in it may not.
        let path = path.canonicalize().map_err(|error| OpenError::io(path, error))?;
        let dir = rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let dir = dir.map_err(|error| match error {
            Errno::NOTDIR => OpenError::WrongKind { path: path.clone(), expected: "a folder" },
            error => OpenError::io(&path, error),
        })?;
        if let Some(filesystem) = facts::network(&dir).map_err(|error| OpenError::io(&path, error))? {
            return Err(OpenError::Network { root: path, filesystem });
        }
        Ok(Root { path, dir: Arc::new(Folder::new(dir)), described: AtomicBool::new(false) })
    }

    /// Locks a folder; waits at most `wait` for the lock.
    pub(crate) fn lock(path: &Path, wait: Duration) -> Result<Self, OpenError> {
        let root = Root::open_unlocked(path)?;
        let since = Instant::now();
        while let Err(error) = root.dir.try_lock() {
            if error != Errno::WOULDBLOCK {
                return Err(OpenError::io(root.path.clone(), error));
            }
            if since.elapsed() >= wait {
                return Err(OpenError::Locked { holder: root.holder(), root: root.path.clone() });
            }
            std::thread::sleep(LOCK_POLL);
        }
        Ok(root)
    }

    /// The folder, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Checks that the path still leads to the open folder. The next process finds no files of a folder that was moved
    /// or removed.
    pub(crate) fn check_place(&self) -> crate::Result<()> {
        let there = rustix::fs::stat(&self.path);
        let open = rustix::fs::fstat(&self.dir)?;
        match there {
            Ok(there) if (there.st_dev, there.st_ino) == (open.st_dev, open.st_ino) && open.st_nlink > 0 => Ok(()),
            Ok(_) => Err(Error::internal(format!("{} is another folder than when it was opened", self.path.display()))),
            Err(error) => Err(Error::internal(format!("{}: {error}", self.path.display()))),
        }
    }

    /// A share of the folder and of its lock.
    pub(crate) fn dir(&self) -> Arc<Folder> {
        self.dir.clone()
    }

    /// Opens the store, or creates one if the folder is a beginning of one.
    pub(crate) fn open(
        &self,
        durable: bool,
        health: &Arc<Health>,
        steps: &Arc<Steps>,
    ) -> Result<(Index, Arc<Reserve>), OpenError> {
        let found = self.look()?;
        self.check_index()?;
        self.check_writable()?;
        if !found.format {
            if !found.beginning {
                let store = found.finals || found.index;
                return Err(if store { OpenError::NoFormat } else { OpenError::NotAStore }(self.path.clone()));
            }
            self.make(found.index)?;
        }
        let id = self.store_id()?;
        self.inspect(&id).map_err(|fault| self.index_error(fault))?;
        // From now on the store may have content that its original does not have.
        self.remove(BACKUP)?;
        // Every check has passed. A copied store may lack its empty folders.
        for name in FOLDERS {
            self.make_folder(name)?;
        }
        let reserve = self.open_file(RESERVE, OFlags::RDWR | OFlags::CREATE)?;
        let reserve = Reserve::open(reserve).map_err(|error| OpenError::io(self.at(RESERVE), error))?;
        let reserve = Arc::new(reserve);
        let open = |is_room_left| {
            if durable {
                self.replace_log(is_room_left)?;
            }
            let opened =
                Index::open(&self.at(INDEX), durable, reserve.clone(), health.clone(), steps.clone(), &self.dir);
            opened.map_err(|fault| self.index_error(fault))
        };
        let index = match open(true) {
            Err(error) if error.is_lack_of_room() => reserve.lend(|| open(false)),
            opened => opened,
        }?;
        self.describe_holder("");
        Ok((index, reserve))
    }

    /// Checks that the index and its companions are files, if they exist.
    pub(crate) fn check_index(&self) -> Result<(), OpenError> {
        INDEX_FILES.into_iter().try_for_each(|suffix| self.check_file(&format!("{INDEX}{suffix}")))
    }

    /// Checks that the index is whole and belongs to the store with that id.
    pub(crate) fn inspect(&self, id: &str) -> Result<(), IndexFault> {
        if index::inspect(&self.at(INDEX))? == id { Ok(()) } else { Err(IndexFault::Foreign) }
    }

    /// Translates a fault of the index.
    pub(crate) fn index_error(&self, fault: IndexFault) -> OpenError {
        self.error_of(INDEX, fault)
    }

    /// Translates a fault of an index of that name. No connection to it may be open.
    pub(crate) fn error_of(&self, index: &str, fault: IndexFault) -> OpenError {
        // SQLite says that it can't open or lock a file, but neither which nor why. The system says it.
        if let IndexFault::Fault(_) = fault
            && let Err(refusal) = self.try_files_of(index)
        {
            return refusal;
        }
        OpenError::index(&self.path, &self.at(index), fault)
    }

    /// Opens the files of an index as SQLite does; removes again those that this creates.
    fn try_files_of(&self, index: &str) -> Result<(), OpenError> {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{index}{suffix}");
            match self.open_in(&name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
                Ok(_) => self.remove(&name)?,
                Err(Errno::EXIST) => drop(self.open_file(&name, OFlags::RDWR)?),
                Err(error) => return Err(OpenError::io(self.at(&name), error)),
            }
        }
        Ok(())
    }

    /// Looks at the content of the folder. Each known name must be of its kind; for the index, see
    /// [`Root::check_index`].
    pub(crate) fn look(&self) -> Result<Found, OpenError> {
        let mut found = Found { format: false, index: false, backup: false, finals: false, beginning: true };
        for name in names(&self.dir).map_err(|error| OpenError::io(&self.path, error))? {
            if FOLDERS.contains(&name.as_str()) {
                let folder = self.folder(&name)?;
                found.finals |= name == layout::FINAL;
                found.beginning &= names(&folder).map_err(|error| OpenError::io(self.at(&name), error))?.is_empty();
            } else if [FORMAT, NEW_FORMAT, NEW_LOG, BACKUP, HOLDER, RESERVE].contains(&name.as_str()) {
                self.check_file(&name)?;
                found.format |= name == FORMAT;
                found.backup |= name == BACKUP;
            } else if let Some(suffix) = name.strip_prefix(INDEX).or_else(|| name.strip_prefix(NEW_INDEX))
                && INDEX_FILES.contains(&suffix)
            {
                found.index |= name == INDEX;
            } else {
                found.beginning = false;
            }
        }
        Ok(found)
    }

    /// The id in `format`.
    pub(crate) fn store_id(&self) -> Result<String, OpenError> {
        let text = read_note(&self.open_file(FORMAT, OFlags::RDONLY)?);
        let text = text.map_err(|error| OpenError::io(self.at(FORMAT), error))?;
        let mut lines = text.lines();
        match (lines.next(), lines.next().and_then(|id| Token::parse(id).ok())) {
            (Some(FORMAT_LINE), Some(id)) => Ok(id.as_str().to_owned()),
            (found, _) => {
                let found = found.unwrap_or("an empty file").to_owned();
                Err(OpenError::Format { root: self.path.clone(), found })
            }
        }
    }

    /// Describes the holder of the lock in the folder, for refused processes.
    pub(crate) fn describe_holder(&self, what: &str) {
        let note = format!("pid {}{}{what}\n", std::process::id(), if what.is_empty() { "" } else { ", " });
        self.described.store(true, Ordering::Relaxed);
        self.write_holder(&note);
    }

    fn write_holder(&self, note: &str) {
        let written = self.open_file(HOLDER, OFlags::RDWR | OFlags::CREATE).map_err(Error::internal).and_then(|file| {
            file.set_len(0)?;
            Ok(file.write_all_at(note.as_bytes(), 0)?)
        });
        if let Err(error) = written {
            tracing::warn!(error = %error.told(), "the folder does not say who has it");
        }
    }

    fn holder(&self) -> String {
        let note = self.open_file(HOLDER, OFlags::RDONLY).ok().and_then(|file| read_note(&file).ok());
        note.filter(|note| !note.is_empty()).unwrap_or_else(|| "which does not say who it is".to_owned())
    }

    /// Creates a missing folder of the store, and checks that it is one.
    pub(crate) fn make_folder(&self, name: &str) -> Result<(), OpenError> {
        match rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name).map(drop),
            Err(error) => Err(OpenError::io(self.at(name), error)),
        }
    }

    /// Makes the names in the folder durable.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        rustix::fs::fsync(&self.dir).map_err(|error| OpenError::io(&self.path, error))
    }

    fn folder(&self, name: &str) -> Result<OwnedFd, OpenError> {
        self.open_in(name, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => {
                OpenError::WrongKind { path: self.at(name), expected: "a folder of its own" }
            }
            error => OpenError::io(self.at(name), error),
        })
    }

    /// Checks that this process may change the folder. A read-only mount forbids it too.
    pub(crate) fn check_writable(&self) -> Result<(), OpenError> {
        rustix::fs::accessat(&self.dir, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
            .map_err(|error| OpenError::io(&self.path, error))
    }

    /// Checks that a name, if it exists, is that of a regular file, without opening the file.
    fn check_file(&self, name: &str) -> Result<(), OpenError> {
        let kind = match self.open_in(name, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::LOOP | Errno::XDEV) => Ok(FileType::Unknown),
            Err(error) => Err(error),
        };
        match kind {
            Ok(FileType::RegularFile) => Ok(()),
            Ok(_) => Err(OpenError::WrongKind { path: self.at(name), expected: "a regular file" }),
            Err(error) => Err(OpenError::io(self.at(name), error)),
        }
    }

    /// Opens a regular file in the folder.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> Result<File, OpenError> {
        // A planted pipe does not block it.
        match self.open_in(name, flags | OFlags::NONBLOCK).map(File::from) {
            Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => Ok(file),
            Ok(_) | Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::XDEV) => {
                Err(OpenError::WrongKind { path: self.at(name), expected: "a regular file" })
            }
            Err(error) => Err(OpenError::io(self.at(name), error)),
        }
    }

    pub(crate) fn open_in(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.dir, name, flags | OFlags::CLOEXEC, mode, resolve)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if *self.described.get_mut() {
            self.write_holder("");
        }
    }
}

fn names(dir: impl AsFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Some filesystems put this into their own root.
        if !matches!(name.as_str(), "." | ".." | "lost+found") {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_note(file: &File) -> std::io::Result<String> {
    let mut text = Vec::new();
    file.take(NOTE_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}
