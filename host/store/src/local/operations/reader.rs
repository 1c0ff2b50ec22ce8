//! A store that is only read, while another process may use it.
//!
//! Invariants: nothing is written, and no lock is held; the index is open for moments only, because no process can open
//! the store meanwhile.

use crate::local::files::disk::Disk;
use crate::local::files::layout::INDEX;
use crate::local::index::finals::{self, FinalRow};
use crate::local::index::{self, IndexFault};
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use crate::{Error, FileId, Result, Scope};
use rusqlite::Connection;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time that the index stays open. A process that opens the store meanwhile waits at most ten seconds.
const OPEN_MAX: Duration = Duration::from_millis(50);

/// A store that is only read.
pub(crate) struct Reader {
    pub(crate) root: Root,
    pub(crate) disk: Disk,
    /// The id of the store.
    pub(crate) id: String,
    /// The open index, and the time of its opening.
    index: RefCell<Option<(Connection, Instant)>>,
    /// Whether another process had created the files beside the index.
    in_use: bool,
}

impl Reader {
    /// Opens a store whose index is whole.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let root = Root::open_unlocked(path)?;
        let found = root.look()?;
        if !found.format {
            let store = found.finals || found.index;
            return Err(if store { OpenError::NoFormat } else { OpenError::NotAStore }(root.path().to_owned()));
        }
        root.check_index()?;
        let id = root.store_id()?;
        let in_use = root.at(&format!("{INDEX}-shm")).exists();
        match index::check_beside(&root.at(INDEX)) {
            Ok(of) if of == id => {}
            Ok(_) => return Err(root.index_error(IndexFault::Foreign)),
            Err(fault) => return Err(root.index_error(fault)),
        }
        let disk = Disk::new(root.dir(), false, None, Arc::default(), Arc::default());
        Ok(Reader { root, disk, id, index: RefCell::default(), in_use })
    }

    /// Reads rows.
    pub(crate) fn rows<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut index = self.index.borrow_mut();
        let open = index.take().filter(|(_, since)| since.elapsed() < OPEN_MAX);
        let (conn, _) = index.insert(match open {
            Some(open) => open,
            None => {
                let opened = index::open_beside(&self.root.at(INDEX)).map_err(|fault| match fault {
                    IndexFault::Fault(error) => error,
                    fault => Error::internal(fault),
                });
                (opened?, Instant::now())
            }
        });
        work(conn)
    }

    /// Closes the index before work that takes long.
    pub(crate) fn pause(&self) {
        self.index.take();
    }

    /// Whether an object exists under a file id now.
    pub(crate) fn is_live(&self, scope: &Scope, file: &FileId) -> Result<bool> {
        let row = self.rows(|conn| finals::get(conn, scope, file))?;
        Ok(matches!(row, Some(FinalRow::Live(_))))
    }
}

impl Drop for Reader {
    /// Removes the files that SQLite had to create beside the index of an unused store.
    fn drop(&mut self) {
        self.pause();
        let dir = self.root.dir();
        if self.in_use || dir.try_lock().is_err() {
            return;
        }
        let [log, memory] = ["-wal", "-shm"].map(|suffix| self.root.at(&format!("{INDEX}{suffix}")));
        let is_empty = log.metadata().map_or(true, |metadata| metadata.len() == 0);
        for path in [log, memory].iter().filter(|_| is_empty) {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(path = %path.display(), %error, "it stays beside the index");
            }
        }
    }
}
