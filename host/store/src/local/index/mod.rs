//! The index of a local store: which parts, finals, tombstones and records exist.
//!
//! SQLite in WAL mode. Invariants: all changes are made by one thread, which commits what is queued together; a change
//! has answered only when its transaction is durable, unless it is a note; a change that fails is undone alone and disturbs no neighbour; after
//! a failed write or sync no change is made any more; when the last handle is gone, so are all connections.

mod faults;
pub(super) mod finals;
pub(super) mod parts;
pub(super) mod records;
mod schema;
#[cfg(test)]
mod tests;
pub(super) mod trials;
mod writer;

pub(super) use schema::{IndexFault, use_log};

use super::folder::Folder;
use super::health::{Health, is_refusal};
use super::reserve::Reserve;
use crate::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use writer::Kind;

/// Connections for reading.
const READERS: usize = 2;
/// Changes that may wait for the writer.
const QUEUE: usize = 1_024;
/// What is kept of the log when it starts over, in bytes; it is written back whenever it has about as much.
const LOG_MAX: u64 = 4 << 20;

/// The index of a store.
#[derive(Clone)]
pub(super) struct Index(Arc<Shared>);

struct Shared {
    /// Absent only while the index is being closed.
    changes: Option<mpsc::Sender<Box<dyn writer::Change>>>,
    writer: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    idle: Semaphore,
    health: Arc<Health>,
    /// With its lock, which must outlive each connection: a read that nobody waits for any more can be the last that is there
    /// of a store.
    _folder: Arc<Folder>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The readers first: only a connection that can write can end the log, and only the last one does.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // Nobody is left who could wait for a change, so the thread has only what is queued to do.
        self.changes = None;
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the thread that changes the index has panicked");
        }
    }
}

/// Makes the index of a store at a path where there is none, with what `fill` puts into it. It is one durable file then,
/// and open nowhere.
pub(super) fn create(
    path: &Path,
    store_id: &str,
    fill: impl FnOnce(&Connection) -> Result<(), IndexFault>,
) -> Result<(), IndexFault> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, true)?;
    use_log(&conn).map_err(IndexFault::Fault)?;
    schema::create(&conn, store_id)?;
    fill(&conn)?;
    write_back(&conn).map_err(IndexFault::Fault)?;
    conn.close().map_err(|(_, error)| error)?;
    std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(IndexFault::Io)
}

/// Writes the whole log of a new index back to its file. Closing would too, but would not report a failure.
pub(super) fn write_back(conn: &Connection) -> Result<()> {
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(Error::internal("a new index is in use"));
    }
    Ok(())
}

/// Looks whether the index at a path can be used, and answers the id of its store. Leaves its files as they are.
pub(super) fn inspect(path: &Path) -> Result<String, IndexFault> {
    let there = |path: &Path| match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(IndexFault::Io(error)),
    };
    let (log, journal) = (beside(path, "-wal"), beside(path, "-journal"));
    let len = there(path)?.ok_or(IndexFault::Missing)?.len();
    if len == 0 {
        // SQLite would take it for a new one, and remove its log.
        return Err(IndexFault::Damaged("it is empty".to_owned()));
    }
    if there(&journal)?.is_some() {
        // SQLite would roll it back. Ours has a write-ahead log from its first row on.
        return Err(IndexFault::Damaged("it has a rollback journal, as none of ours has".to_owned()));
    }
    let log_len = || there(&log).map(|log| log.map(|metadata| metadata.len()));
    let had = log_len()?;
    // An empty one is what an opening makes, and says nothing.
    let had_log = had.is_some_and(|len| len > 0);
    // With a log, what was being written back when the process was killed is there once more.
    let found = look(path, if had_log { None } else { Some(len) });
    if had.is_none() && log_len()? == Some(0) {
        std::fs::remove_file(&log).map_err(IndexFault::Io)?;
    }
    found
}

/// Opens an index to read it, while another process may have the store. As long as the connection is open no process can
/// begin to use the store.
pub(super) fn open_beside(path: &Path) -> Result<Connection, IndexFault> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.len() > 0 => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, true),
        Ok(_) => Err(IndexFault::Damaged("it is empty".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(IndexFault::Missing),
        Err(error) => Err(IndexFault::Io(error)),
    }
}

/// Opens an index that is being made and has no name of its own yet.
pub(super) fn open_new(path: &Path) -> Result<Connection, IndexFault> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, false)
}

/// As [`inspect`], while another process may have the store.
pub(super) fn check_beside(path: &Path) -> Result<String, IndexFault> {
    schema::check(&open_beside(path)?)
}

/// With an exclusive lock SQLite makes no file for shared memory; told so, it leaves the log as it is when it closes.
fn look(path: &Path, len: Option<u64>) -> Result<String, IndexFault> {
    let conn = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    settle(&conn, true)?;
    let id = schema::check(&conn)?;
    let page: u64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    match len {
        Some(len) if len % page != 0 => Err(IndexFault::Damaged("its last page is cut".to_owned())),
        _ => Ok(id),
    }
}

/// A file beside the index, which SQLite names after it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Index {
    /// Opens an index that has been looked at, of a folder that is locked.
    pub(super) fn open(
        path: &Path,
        durable: bool,
        reserve: Arc<Reserve>,
        health: Arc<Health>,
        folder: &Arc<Folder>,
    ) -> Result<Self, IndexFault> {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, durable)?;
        use_log(&conn).map_err(IndexFault::Fault)?;
        let writer = writer::Writer::new(conn, reserve, health.clone(), durable)?;
        let readers = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, durable))
            .collect::<Result<Vec<_>, _>>()?;
        let (changes, queue) = mpsc::channel(QUEUE);
        let share = folder.clone();
        let thread = std::thread::Builder::new()
            .name("portico-index".to_owned())
            .spawn(move || {
                writer.run(queue);
                // The connection first, and then its share of the lock.
                drop(writer);
                drop(share);
            })
            .map_err(IndexFault::Io)?;
        Ok(Index(Arc::new(Shared {
            changes: Some(changes),
            writer: Some(thread),
            readers: Mutex::new(readers),
            idle: Semaphore::new(READERS),
            health,
            _folder: folder.clone(),
        })))
    }

    /// Makes a change, and answers when it is durable. Dropping the future does not undo what is queued. The work may be
    /// run more than once, each time on what is there without it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Keeps, work).await
    }

    /// As [`Index::write`], for a change that gives room back in the end: the reserve is there for it.
    pub(super) async fn free<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Frees, work).await
    }

    /// As [`Index::write`], for a change that may be lost if the machine loses its power before another one is durable.
    /// It syncs nothing, so that others hardly wait for it.
    pub(super) async fn note<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Notes, work).await
    }

    async fn change<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.health.check()?;
        let (answer, answered) = oneshot::channel();
        let change = writer::change(kind, work, move |result| {
            // Whoever waited may be gone.
            let _ = answer.send(result);
        });
        let closed = || Error::internal("the index is closed");
        self.0.changes.as_ref().ok_or_else(closed)?.send(change).await.map_err(|_| closed())?;
        answered.await.map_err(|_| Error::internal("the index was closed before it could answer"))?
    }

    /// Reads, off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_then(work, Ok).await
    }

    /// Reads, and goes on with what was read in the same thread, without keeping others from reading.
    pub(super) async fn read_then<T, U: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce(T) -> Result<U> + Send + 'static,
    ) -> Result<U> {
        let shared = self.0.clone();
        // The turn is taken here, not by the job, so that jobs never wait for each other on threads.
        let turn = shared.idle.acquire().await.map_err(Error::internal)?;
        turn.forget();
        let job = tokio::task::spawn_blocking(move || {
            let found = {
                let lease = Lease::new(&shared);
                work(lease.conn()?)
            };
            then(found?)
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

/// Whether the change may be there after a restart although it answered an error. Lack of room is a clean refusal, and so is
/// that of a change which was not begun.
pub(super) fn in_doubt(error: &Error) -> bool {
    matches!(error, Error::Internal(_) | Error::Unavailable { .. } | Error::Denied(_)) && !is_refusal(error)
}

fn connect(path: &Path, mode: OpenFlags, durable: bool) -> Result<Connection, IndexFault> {
    let conn = Connection::open_with_flags(path, flags(mode))?;
    settle(&conn, durable)?;
    Ok(conn)
}

fn flags(mode: OpenFlags) -> OpenFlags {
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// Settings of a connection.
fn settle(conn: &Connection, durable: bool) -> Result<(), IndexFault> {
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    // Each query has one plan, whatever is asked. Without this SQLite makes a new one for each range and each limit.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The cache in KiB (negative): small, so that the index stays small beside everything else in memory. The log is cut
    // back to its limit in bytes whenever it starts over. It is written back where a failure is seen.
    conn.execute_batch(&format!(
        "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {LOG_MAX}; PRAGMA synchronous = {};",
        if durable { "FULL" } else { "OFF" }
    ))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

impl From<rusqlite::Error> for Error {
    /// The one place where an error of SQLite gets its meaning.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::NoSpace,
            // The file for shared memory could not be made larger.
            _ if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => Error::NoSpace,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::unavailable(faults::Failure(error)),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::Denied(faults::Failure(error).into()),
            _ => Error::internal(faults::Failure(error)),
        }
    }
}
