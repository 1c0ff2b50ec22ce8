//! Why a folder can't be opened as a store.

use crate::Error;
use crate::local::files::layout::FORMAT_LINE;
use crate::local::index::IndexFault;
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder can't be opened as a store. Its content is unchanged; only a failed creation of a new store leaves a
/// beginning, from which the next opening continues.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the store.
    #[error("{} is in use by another process ({holder}); to work with it meanwhile, talk to that process (`--server URL`)", root.display())]
    Locked {
        /// The folder.
        root: PathBuf,
        /// How the other process describes itself.
        holder: String,
    },
    /// The folder contains other things.
    #[error("{} is not empty and not a Portico store; give a folder that is empty or does not exist", .0.display())]
    NotAStore(PathBuf),
    /// Something in the folder is of the wrong kind: a symlink, or a file in the place of a folder.
    #[error("{} is not {expected}; a store holds no symlinks, no mounts and nothing of another kind", path.display())]
    WrongKind {
        /// Its path.
        path: PathBuf,
        /// The right kind.
        expected: &'static str,
    },
    /// The store was made by another version.
    #[error("{} is a store of another format ({found}); this program knows {FORMAT_LINE:?}", root.display())]
    Format {
        /// The folder.
        root: PathBuf,
        /// The format that the folder declares.
        found: String,
    },
    /// The data of a store exist, but not the file `format`, which has the store's id.
    #[error("{} has data of a store but no `format` file. Nothing was changed. `portico check --rebuild` makes it again", .0.display())]
    NoFormat(PathBuf),
    /// The index is missing, damaged, of an older version, or of another store.
    #[error("the index of {} can't be used: {reason}. Nothing was changed. `portico check --rebuild` makes a new one from the final objects", root.display())]
    Index {
        /// The folder.
        root: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The folder is on a network filesystem, whose locks and syncs do not hold what a store needs.
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
    /// A rebuild was requested, and the index is whole.
    #[error("the index of {} is whole; a rebuild would lose what it alone knows: parts, records, tombstones, content types and metadata", .0.display())]
    NothingToRebuild(PathBuf),
    /// The operating system reported an error.
    #[error("{}", path.display())]
    Io {
        /// The path that could not be opened or created.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl OpenError {
    /// A failure of the operating system at a path.
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        OpenError::Io { path: path.into(), source: source.into() }
    }

    /// Whether it is a lack of room.
    pub(crate) fn is_lack_of_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, OpenError::Io { source, .. } if [StorageFull, QuotaExceeded, FileTooLarge].contains(&source.kind()))
    }

    /// A failure of the store beneath a path.
    pub(crate) fn fault(path: &Path, error: Error) -> Self {
        let source = match error {
            Error::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
            // The cause itself, which says more than that a failure occurred.
            Error::Internal(cause) | Error::Unavailable { cause, .. } | Error::Denied(cause) => {
                cause.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
            }
            error => io::Error::other(error),
        };
        OpenError::io(path, source)
    }

    /// Translates a fault of the index in a folder.
    pub(crate) fn index(root: &Path, index: &Path, fault: IndexFault) -> Self {
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
