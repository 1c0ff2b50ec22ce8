//! The folder of a local store: whose it is, and whether it is whole.
//!
//! Invariants: one process at a time has the lock; nothing beside data that is there is ever made anew over it, and a
//! folder that is refused is left as it was.

use super::index::{Index, IndexFault};
use super::layout;
use crate::Token;
use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FORMAT: &str = "format";
const LOCK: &str = "lock";
pub(super) const INDEX: &str = "index.sqlite";
/// First line of `format`; the second is the store's id.
const FORMAT_LINE: &str = "portico local store 1";
/// Between two looks at a lock that somebody else holds.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// What is read of `format` and `lock`, in bytes.
const NOTE_MAX: u64 = 4 << 10;

/// Why a folder can't be opened as a store. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the store.
    #[error("{} is in use by another process ({holder}); to work with it meanwhile, talk to that process (`--server URL`)", root.display())]
    Locked {
        /// The folder.
        root: PathBuf,
        /// What the other process says of itself.
        holder: String,
    },
    /// The folder has other things in it.
    #[error("{} is not empty and not a Portico store; give a folder that is empty or does not exist", .0.display())]
    NotAStore(PathBuf),
    /// Something in the folder is not of the kind that it must be: a symlink, a file for a folder.
    #[error("{} is not {expected}; a store holds no symlinks and nothing of another kind", path.display())]
    WrongKind {
        /// What was found.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
    /// The store was made by another version.
    #[error("{} is a store of another format ({found}); this program knows {FORMAT_LINE:?}", root.display())]
    Format {
        /// The folder.
        root: PathBuf,
        /// The format that it says it has.
        found: String,
    },
    /// The index is missing, damaged, of another version, or another store's.
    #[error("the index of {} can't be used: {reason}. Nothing was changed. `portico check --rebuild` makes a new one from the final objects", root.display())]
    Index {
        /// The folder.
        root: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// What could not be opened or made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A store's folder, locked.
pub(super) struct Root {
    path: PathBuf,
    dir: OwnedFd,
    /// The lock lasts as long as this is open.
    lock: File,
}

impl Root {
    /// Opens a folder and locks it; waits for the lock as long as it is told. A folder that is missing is made.
    pub(super) fn open(path: &Path, wait: Duration) -> Result<Self, OpenError> {
        let io = |source: std::io::Error| OpenError::Io { path: path.to_owned(), source };
        if let Err(error) = std::fs::create_dir(path)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(io(error));
            }
            std::fs::create_dir_all(path).map_err(io)?;
        }
        // The way to the folder may lead through symlinks; what is in it may not.
        let path = path.canonicalize().map_err(io)?;
        let dir = rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let dir = dir.map_err(|error| match error {
            Errno::NOTDIR => OpenError::WrongKind { path: path.clone(), expected: "a folder" },
            error => OpenError::Io { path: path.clone(), source: error.into() },
        })?;
        if names(&dir, &path)?.iter().all(|name| name != FORMAT && name != LOCK) && !names(&dir, &path)?.is_empty() {
            return Err(OpenError::NotAStore(path));
        }
        let lock = open_file(&dir, &path, LOCK, OFlags::RDWR | OFlags::CREATE)?;
        let since = Instant::now();
        while let Err(error) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK {
                return Err(OpenError::Io { path: path.join(LOCK), source: error.into() });
            }
            if since.elapsed() >= wait {
                return Err(OpenError::Locked { holder: read_note(&lock), root: path });
            }
            std::thread::sleep(LOCK_POLL);
        }
        let root = Root { path, dir, lock };
        root.describe_holder("");
        Ok(root)
    }

    /// The folder, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor of the folder.
    pub(super) fn dir(&self) -> Result<OwnedFd, OpenError> {
        self.dir.try_clone().map_err(|source| OpenError::Io { path: self.path.clone(), source })
    }

    /// Says in the lock file who holds the lock, for whoever is refused.
    pub(super) fn describe_holder(&self, what: &str) {
        let note = format!("pid {}{}{what}\n", std::process::id(), if what.is_empty() { "" } else { ", " });
        let written = self.lock.set_len(0).and_then(|()| self.lock.write_all_at(note.as_bytes(), 0));
        if let Err(error) = written {
            tracing::warn!(%error, "the lock file does not say who holds it");
        }
    }

    /// Opens the index, or makes a new store if the folder is one's beginning.
    pub(super) fn index(&self, durable: bool) -> Result<Index, OpenError> {
        let names = names(&self.dir, &self.path)?;
        let has = |name: &str| names.iter().any(|there| there == name);
        if !has(FORMAT) {
            // A store in the making has no more than a lock, and perhaps the beginnings of the rest.
            if has(layout::FINAL) || has(layout::TEMP) {
                return Err(OpenError::NotAStore(self.path.clone()));
            }
            return self.create(durable);
        }
        let id = self.store_id()?;
        for folder in [layout::STAGING, layout::TEMP, layout::FINAL] {
            self.folder(folder)?;
        }
        if has(INDEX) {
            open_file(&self.dir, &self.path, INDEX, OFlags::RDONLY)?;
        }
        Index::open(&self.path.join(INDEX), &id, durable).map_err(|fault| self.index_error(&fault))
    }

    /// The id that `format` gives.
    pub(super) fn store_id(&self) -> Result<String, OpenError> {
        let text = read_note(&open_file(&self.dir, &self.path, FORMAT, OFlags::RDONLY)?);
        let mut lines = text.lines();
        match (lines.next(), lines.next().and_then(|id| Token::parse(id).ok())) {
            (Some(FORMAT_LINE), Some(id)) => Ok(id.as_str().to_owned()),
            (found, _) => {
                let found = found.unwrap_or("an empty file").to_owned();
                Err(OpenError::Format { root: self.path.clone(), found })
            }
        }
    }

    pub(super) fn index_error(&self, fault: &IndexFault) -> OpenError {
        OpenError::Index { root: self.path.clone(), reason: fault.to_string() }
    }

    /// Makes a store: the index first, `format` last, so that a store with a `format` is whole.
    fn create(&self, durable: bool) -> Result<Index, OpenError> {
        let io = |name: &str| {
            let path = self.path.join(name);
            move |source: std::io::Error| OpenError::Io { path, source }
        };
        let id = Token::random().map_err(|error| io(FORMAT)(std::io::Error::other(error)))?;
        // Beginnings of an earlier attempt; without a `format` nothing was ever stored with them.
        for name in [INDEX.to_owned(), format!("{INDEX}-wal"), format!("{INDEX}-shm"), format!("{FORMAT}.new")] {
            match std::fs::remove_file(self.path.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(&name)(error)),
                _ => {}
            }
        }
        let index = Index::create(&self.path.join(INDEX), id.as_str(), durable);
        let index = index.map_err(|fault| self.index_error(&fault))?;
        self.folder(layout::STAGING)?;
        let name = format!("{FORMAT}.new");
        let mut format = open_file(&self.dir, &self.path, &name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        write!(format, "{FORMAT_LINE}\n{id}\n").and_then(|()| format.sync_all()).map_err(io(FORMAT))?;
        std::fs::rename(self.path.join(&name), self.path.join(FORMAT)).map_err(io(FORMAT))?;
        for folder in [layout::TEMP, layout::FINAL] {
            self.folder(folder)?;
        }
        rustix::fs::fsync(&self.dir).map_err(|error| io("")(error.into()))?;
        if let Some(parent) = self.path.parent() {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(io(".."))?;
        }
        Ok(index)
    }

    /// Makes one of the store's folders if it is missing, and looks that it is one.
    fn folder(&self, name: &str) -> Result<(), OpenError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(OpenError::Io { path, source: error.into() }),
        }
        open_in(&self.dir, name, OFlags::DIRECTORY).map(|_| ()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => OpenError::WrongKind { path, expected: "a folder of its own" },
            error => OpenError::Io { path, source: error.into() },
        })
    }
}

fn names(dir: &OwnedFd, path: &Path) -> Result<Vec<String>, OpenError> {
    let io = |error: Errno| OpenError::Io { path: path.to_owned(), source: error.into() };
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        // What a filesystem puts into its own root.
        if !matches!(name.as_str(), "." | ".." | "lost+found") {
            names.push(name);
        }
    }
    Ok(names)
}

fn open_in(dir: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    // Not blocked by a planted pipe.
    rustix::fs::openat2(dir, name, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, mode, resolve)
}

/// Opens a regular file of the store's own.
fn open_file(dir: &OwnedFd, root: &Path, name: &str, flags: OFlags) -> Result<File, OpenError> {
    let path = root.join(name);
    let wrong = || OpenError::WrongKind { path: path.clone(), expected: "a regular file" };
    let file = match open_in(dir, name, flags) {
        Ok(fd) => File::from(fd),
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::XDEV) => return Err(wrong()),
        Err(error) => return Err(OpenError::Io { path, source: error.into() }),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(wrong()),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

fn read_note(file: &File) -> String {
    let mut text = Vec::new();
    match file.take(NOTE_MAX).read_to_end(&mut text) {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(_) => "it does not say who".to_owned(),
    }
}
