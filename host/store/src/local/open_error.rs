//! Why a folder can't be opened as a store.

use super::index::IndexFault;
use super::layout::FORMAT_LINE;
use crate::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder can't be opened as a store. What is in it has not been changed; only where making a new store failed
/// half-way, its beginnings are there, and the next opening goes on from them.
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
    #[error("{} is not {expected}; a store holds no symlinks, no mounts and nothing of another kind", path.display())]
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
    /// There is data of a store, but not the file `format`, which says whose it is.
    #[error("{} has data of a store but no `format` file. Nothing was changed. `portico check --rebuild` makes it again", .0.display())]
    NoFormat(PathBuf),
    /// The index is missing, damaged, of an older version, or another store's.
    #[error("the index of {} can't be used: {reason}. Nothing was changed. `portico check --rebuild` makes a new one from the final objects", root.display())]
    Index {
        /// The folder.
        root: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder is on a network filesystem, where neither locks nor syncs hold what a store builds on.
    #[error("{} is on {filesystem}, a network filesystem; a local store needs a filesystem of this machine", root.display())]
    Network {
        /// The folder.
        root: PathBuf,
        /// The kind of the filesystem.
        filesystem: &'static str,
    },
    /// A put would fail.
    #[error("nothing can be stored in {}", root.display())]
    Unfit {
        /// The folder.
        root: PathBuf,
        /// The step of a put that failed.
        #[source]
        cause: Error,
    },
    /// A rebuild was asked for, and the index is whole.
    #[error("the index of {} is whole; a rebuild would lose what it alone knows: parts, records, tombstones, content types and metadata", .0.display())]
    NothingToRebuild(PathBuf),
    /// The operating system refuses.
    #[error("{}", path.display())]
    Io {
        /// What could not be opened or made.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// A failure of the operating system at a path.
    pub(super) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        OpenError::Io { path: path.into(), source: source.into() }
    }

    /// Whether it is a lack of room.
    pub(super) fn is_lack_of_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, OpenError::Io { source, .. } if [StorageFull, QuotaExceeded, FileTooLarge].contains(&source.kind()))
    }

    /// A failure of the store beneath a path.
    pub(super) fn fault(path: &Path, error: Error) -> Self {
        let source = match error {
            Error::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
            // The cause itself, which says more than that there was one.
            Error::Internal(cause) | Error::Unavailable { cause, .. } | Error::Denied(cause) => {
                cause.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
            }
            error => io::Error::other(error),
        };
        OpenError::io(path, source)
    }

    /// What a fault of the index in a folder comes to.
    pub(super) fn index(root: &Path, index: &Path, fault: IndexFault) -> Self {
        let root = root.to_owned();
        match fault {
            IndexFault::Newer(_) => OpenError::Format { root, found: format!("its index: {fault}") },
            IndexFault::Fault(error) => OpenError::fault(index, error),
            IndexFault::Io(source) => OpenError::io(index, source),
            IndexFault::Missing
            | IndexFault::Damaged(_)
            | IndexFault::NotAnIndex
            | IndexFault::Foreign
            | IndexFault::Older(_) => OpenError::Index { root, reason: fault.to_string() },
        }
    }
}
