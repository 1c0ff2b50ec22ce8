//! Creates a new store.
//!
//! Invariant: a crash leaves a beginning from which the next opening continues. The index is created under a temporary
//! name and renamed when it is whole; `format` comes last. So an index without a `format` is complete and empty; it is
//! used as it is.

use crate::Token;
use crate::local::files::layout::{BACKUP, FOLDERS, FORMAT, FORMAT_LINE, INDEX, INDEX_FILES, NEW_FORMAT, NEW_INDEX};
use crate::local::index;
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use rusqlite::Connection;
use rustix::fs::{AtFlags, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Creates a folder and its missing ancestors, durably.
pub(crate) fn folders(path: &Path) -> Result<(), OpenError> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folders(parent)?;
            return folders(path);
        }
        // For example, a path that ends in a mount point that is read-only.
        Err(_) if path.is_dir() => return Ok(()),
        Err(error) => return Err(OpenError::io(path, error)),
    }
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| OpenError::io(parent, error))
}

impl Root {
    /// Creates a store, or the missing pieces of one; `index` says whether its index exists.
    pub(crate) fn make(&self, index: bool) -> Result<(), OpenError> {
        let id = if index {
            index::inspect(&self.at(INDEX)).map_err(|fault| self.index_error(fault))?
        } else {
            let id = Token::random().map_err(|error| OpenError::fault(&self.at(FORMAT), error))?;
            self.make_index(id.as_str(), |_| Ok(()))?;
            self.name_index()?;
            id.as_str().to_owned()
        };
        for name in FOLDERS {
            self.make_folder(name)?;
        }
        self.make_format(&id)
    }

    /// Creates an index under its temporary name, with the rows of `fill`.
    pub(crate) fn make_index(
        &self,
        id: &str,
        fill: impl FnOnce(&Connection) -> Result<(), index::IndexFault>,
    ) -> Result<(), OpenError> {
        let clear = || INDEX_FILES.iter().try_for_each(|suffix| self.remove(&format!("{NEW_INDEX}{suffix}")));
        clear()?;
        let path = self.at(NEW_INDEX);
        index::create(&path, id, fill).map_err(|fault| {
            let error = self.error_of(NEW_INDEX, fault);
            // Removed, because the disk may be full; the next attempt would remove it too.
            let _ = clear();
            error
        })
    }

    /// Renames a new index to its final name.
    pub(crate) fn name_index(&self) -> Result<(), OpenError> {
        self.rename(NEW_INDEX, INDEX)?;
        self.sync()
    }

    /// Creates the `format` of a store with that id.
    pub(crate) fn make_format(&self, id: &str) -> Result<(), OpenError> {
        self.remove(NEW_FORMAT)?;
        let mut format = self.open_file(NEW_FORMAT, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = write!(format, "{FORMAT_LINE}\n{id}\n").and_then(|()| format.sync_all());
        written.map_err(|error| OpenError::io(self.at(NEW_FORMAT), error))?;
        self.rename(NEW_FORMAT, FORMAT)?;
        self.sync()
    }

    /// Marks the folder as a backup, until a process opens it as a store.
    pub(crate) fn mark_backup(&self) -> Result<(), OpenError> {
        let marked = self.open_file(BACKUP, OFlags::WRONLY | OFlags::CREATE)?.sync_all();
        marked.map_err(|error| OpenError::io(self.at(BACKUP), error))
    }

    /// Renames something in the folder to a name that is free.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), OpenError> {
        let dir = self.dir();
        match rustix::fs::renameat_with(&dir, from, &dir, to, RenameFlags::NOREPLACE) {
            // Some filesystems can't promise that the name is free; this process alone has the folder.
            Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(&dir, from, &dir, to),
            renamed => renamed,
        }
        .map_err(|error| OpenError::io(self.at(to), error))
    }

    /// Removes a file in the folder, if it exists.
    pub(crate) fn remove(&self, name: &str) -> Result<(), OpenError> {
        match rustix::fs::unlinkat(self.dir(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(OpenError::io(self.at(name), error)),
        }
    }
}
