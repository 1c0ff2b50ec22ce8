//! The index of a local store: which parts, finals, tombstones and records exist.
//!
//! SQLite in WAL mode. Invariants: all changes are made by one thread, which commits what is queued together; a change
//! has answered only when its transaction is durable; a change that fails is undone alone and disturbs no neighbour.

pub(super) mod finals;
pub(super) mod parts;
pub(super) mod records;
mod schema;
mod writer;

pub(super) use schema::IndexFault;

use crate::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections for reading.
const READERS: usize = 2;
/// Changes that may wait for the writer.
const QUEUE: usize = 1_024;

/// The index of a store.
#[derive(Clone)]
pub(super) struct Index(Arc<Shared>);

struct Shared {
    changes: mpsc::Sender<writer::Change>,
    readers: Mutex<Vec<Connection>>,
    idle: Semaphore,
}

impl Index {
    /// Creates the index of a new store.
    pub(super) fn create(path: &Path, store_id: &str, durable: bool) -> Result<Self, IndexFault> {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, durable)?;
        schema::create(&conn, store_id)?;
        Self::with_writer(path, conn, durable)
    }

    /// Opens an index that is there, and changes nothing if it is not one of ours.
    pub(super) fn open(path: &Path, store_id: &str, durable: bool) -> Result<Self, IndexFault> {
        // Looked at through a connection that can't write: opening for writing may already touch a damaged file.
        schema::check(&connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, durable)?, store_id)?;
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, durable)?;
        Self::with_writer(path, conn, durable)
    }

    fn with_writer(path: &Path, conn: Connection, durable: bool) -> Result<Self, IndexFault> {
        let readers = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, durable))
            .collect::<Result<Vec<_>, _>>()?;
        let (changes, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("portico-index".to_owned())
            .spawn(move || writer::run(&conn, queue))
            .map_err(IndexFault::Io)?;
        Ok(Index(Arc::new(Shared { changes, readers: Mutex::new(readers), idle: Semaphore::new(READERS) })))
    }

    /// Makes a change, and answers when it is durable. Dropping the future does not undo what is queued.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let change = writer::change(work, move |result| {
            // Whoever waited may be gone.
            let _ = answer.send(result);
        });
        self.0.changes.send(change).await.map_err(|_| Error::internal("the index is closed"))?;
        answered.await.map_err(|_| Error::internal("the index was closed before it could answer"))?
    }

    /// Queues a change that nobody waits for, if there is room for it.
    pub(super) fn write_later(&self, work: impl FnOnce(&Connection) -> Result<()> + Send + 'static) {
        let change = writer::change(work, |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "a change of the index that nobody waits for has failed");
            }
        });
        // A full queue is no loss: such a change only spares the next opening some work.
        let _ = self.0.changes.try_send(change);
    }

    /// Reads, off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.0.clone();
        // The turn is taken here, not by the job, so that jobs never wait for each other on threads.
        let turn = shared.idle.acquire().await.map_err(Error::internal)?;
        turn.forget();
        let job = tokio::task::spawn_blocking(move || {
            let lease = Lease::new(&shared);
            work(lease.conn()?)
        });
        job.await.map_err(Error::internal)?
    }
}

/// A reading connection on loan; it and its turn go back also when the work panics.
struct Lease<'a> {
    shared: &'a Shared,
    conn: Option<Connection>,
}

impl<'a> Lease<'a> {
    fn new(shared: &'a Shared) -> Self {
        Lease { shared, conn: shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop() }
    }

    fn conn(&self) -> Result<&Connection> {
        self.conn.as_ref().ok_or_else(|| Error::internal("more readers than connections"))
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).extend(self.conn.take());
        self.shared.idle.add_permits(1);
    }
}

/// Whether the change may be there after a restart although it answered an error. Lack of room is a clean refusal.
pub(super) fn in_doubt(error: &Error) -> bool {
    matches!(error, Error::Internal(_) | Error::Unavailable { .. } | Error::Denied(_))
}

fn connect(path: &Path, flags: OpenFlags, durable: bool) -> Result<Connection, IndexFault> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    // Sizes in KiB (negative) and pages: small, so that the index stays small beside everything else in memory.
    conn.execute_batch(&format!(
        "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
         PRAGMA synchronous = {};",
        if durable { "FULL" } else { "OFF" }
    ))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

impl From<rusqlite::Error> for Error {
    /// The one place where an error of SQLite gets its meaning.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::NoSpace,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::unavailable(error),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::Denied(error.into()),
            _ => Error::internal(error),
        }
    }
}
