//! The index of a local store: which parts, finals, tombstones and records exist.
//!
//! SQLite in WAL mode. Invariants: one thread makes all changes, and commits those that are queued together; a change
//! returns after its transaction is durable, unless it is a note; a change that fails is undone alone; after a failed
//! write or sync no change is made any more; the last handle closes all connections.

mod faults;
pub(crate) mod finals;
pub(crate) mod parts;
pub(crate) mod records;
mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod trials;
mod writer;

pub(crate) use schema::{IndexFault, use_log};

use crate::local::files::health::{Health, is_refusal};
use crate::local::files::reserve::Reserve;
use crate::local::files::steps::Steps;
use crate::local::open::folder::Folder;
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
/// Size of the log after it starts over, in bytes; the writer writes it back at about this size.
const LOG_MAX: u64 = 4 << 20;

/// A change on its way to the writer, and where its result arrives.
type Prepared<T> = (Box<dyn writer::Change>, oneshot::Receiver<Result<T>>);

/// The index of a store.
#[derive(Clone)]
pub(crate) struct Index(Arc<Shared>);

struct Shared {
    /// Absent only while the index is being closed.
    changes: Option<mpsc::Sender<Box<dyn writer::Change>>>,
    writer: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    idle: Semaphore,
    health: Arc<Health>,
    steps: Arc<Steps>,
    /// With its lock, which must outlive each connection: a read whose caller is gone can be the last use of a store.
    _folder: Arc<Folder>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The readers first: only a connection that can write can end the log, and only the last one does.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // No caller is left that could wait for a change, so the thread only finishes its queue.
        self.changes = None;
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the thread that changes the index has panicked");
        }
    }
}

/// Creates the index of a store at a free path, with the rows of `fill`. Returns when it is one durable file and open
/// nowhere.
pub(crate) fn create(
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

/// Writes the whole log of a new index back to its file. Closing would do it too, but would not report a failure.
pub(crate) fn write_back(conn: &Connection) -> Result<()> {
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(Error::internal("a new index is in use"));
    }
    Ok(())
}

/// Checks that the index at a path can be used, and returns the id of its store. Leaves its files unchanged.
pub(crate) fn inspect(path: &Path) -> Result<String, IndexFault> {
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
        // SQLite would roll it back. An index of a store has a write-ahead log from its first row on.
        return Err(IndexFault::Damaged("it has a rollback journal, which no index of a store has".to_owned()));
    }
    let log_len = || there(&log).map(|log| log.map(|metadata| metadata.len()));
    let had = log_len()?;
    // An opening creates an empty one, which means nothing.
    let had_log = had.is_some_and(|len| len > 0);
    // The log still has the pages that were being written back when the process was killed.
    let found = look(path, if had_log { None } else { Some(len) });
    if had.is_none() && log_len()? == Some(0) {
        std::fs::remove_file(&log).map_err(IndexFault::Io)?;
    }
    found
}

/// Opens an index for reading, while another process may use the store. No process can open the store until the
/// connection is closed.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, IndexFault> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.len() > 0 => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, true),
        Ok(_) => Err(IndexFault::Damaged("it is empty".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(IndexFault::Missing),
        Err(error) => Err(IndexFault::Io(error)),
    }
}

/// Opens a new index that does not have its final name yet.
pub(crate) fn open_new(path: &Path) -> Result<Connection, IndexFault> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, false)
}

/// As [`inspect`], while another process may have the store.
pub(crate) fn check_beside(path: &Path) -> Result<String, IndexFault> {
    schema::check(&open_beside(path)?)
}

/// With an exclusive lock SQLite creates no file for shared memory; with this setting, closing leaves the log
/// unchanged.
fn look(path: &Path, len: Option<u64>) -> Result<String, IndexFault> {
    let conn = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    configure(&conn, true)?;
    let id = schema::check(&conn)?;
    let page: u64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    match len {
        Some(len) if len % page != 0 => Err(IndexFault::Damaged("its last page is cut".to_owned())),
        _ => Ok(id),
    }
}

/// The path of a companion of the index, which SQLite names after it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Index {
    /// Opens a checked index in a locked folder.
    pub(crate) fn open(
        path: &Path,
        durable: bool,
        reserve: Arc<Reserve>,
        health: Arc<Health>,
        steps: Arc<Steps>,
        folder: &Arc<Folder>,
    ) -> Result<Self, IndexFault> {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, durable)?;
        use_log(&conn).map_err(IndexFault::Fault)?;
        let writer = writer::IndexWriter::new(conn, reserve, health.clone(), durable)?;
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
            steps,
            _folder: folder.clone(),
        })))
    }

    /// Makes a change, and returns when it is durable. Dropping the future does not undo a queued change. The work may
    /// run more than once, each time on a state without its effects.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Keeps, work).await
    }

    /// As [`Index::write`], for a change that frees room in the end: it may use the reserve.
    pub(crate) async fn free<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Frees, work).await
    }

    /// As [`Index::write`], for a change that a loss of power may undo until another change is durable. It syncs
    /// nothing, so other changes hardly wait for it.
    pub(crate) async fn note<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change(Kind::Notes, work).await
    }

    /// As [`Index::write`], in a thread that may block.
    pub(crate) fn write_blocking<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (change, answered) = self.prepare(Kind::Keeps, work)?;
        self.queue()?.blocking_send(change).map_err(|_| closed())?;
        self.end(answered.blocking_recv())
    }

    async fn change<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (change, answered) = self.prepare(kind, work)?;
        self.queue()?.send(change).await.map_err(|_| closed())?;
        self.end(answered.await)
    }

    fn prepare<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<Prepared<T>> {
        self.0.steps.step("commit")?;
        self.0.health.check()?;
        let (answer, answered) = oneshot::channel();
        let change = writer::change(kind, work, move |result| {
            // The caller may have been dropped.
            let _ = answer.send(result);
        });
        Ok((change, answered))
    }

    fn queue(&self) -> Result<&mpsc::Sender<Box<dyn writer::Change>>> {
        self.0.changes.as_ref().ok_or_else(closed)
    }

    fn end<T>(&self, answered: Result<Result<T>, oneshot::error::RecvError>) -> Result<T> {
        let made = answered.map_err(|_| Error::internal("the index was closed before the change returned"))??;
        self.0.steps.step("committed")?;
        Ok(made)
    }

    /// Reads, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_then(work, Ok).await
    }

    /// Reads, and continues with the result in the same thread, without occupying the connection.
    pub(crate) async fn read_then<T, U: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce(T) -> Result<U> + Send + 'static,
    ) -> Result<U> {
        let shared = self.0.clone();
        // The caller takes the turn, not the job, so that jobs never wait for each other on threads.
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

fn closed() -> Error {
    Error::internal("the index is closed")
}

/// A borrowed reading connection. The connection and its turn are returned even if the work panics.
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

/// Whether a failed change may still exist after a restart. Lack of room is a clean refusal, and so is the refusal of a
/// change before it began.
pub(crate) fn in_doubt(error: &Error) -> bool {
    matches!(error, Error::Internal(_) | Error::Unavailable { .. } | Error::Denied(_)) && !is_refusal(error)
}

fn connect(path: &Path, mode: OpenFlags, durable: bool) -> Result<Connection, IndexFault> {
    let conn = Connection::open_with_flags(path, flags(mode))?;
    configure(&conn, durable)?;
    Ok(conn)
}

fn flags(mode: OpenFlags) -> OpenFlags {
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// Settings of a connection.
fn configure(conn: &Connection, durable: bool) -> Result<(), IndexFault> {
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    // Each query has one plan, whatever its values. Without this SQLite plans again for each range and each limit.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The cache in KiB (negative): small, so that the index uses little memory. The log is cut back to its limit in
    // bytes whenever it starts over. The writer writes it back, where a failure is seen.
    conn.execute_batch(&format!(
        "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {LOG_MAX}; PRAGMA synchronous = {};",
        if durable { "FULL" } else { "OFF" }
    ))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

impl From<rusqlite::Error> for Error {
    /// The one translation of SQLite's errors.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::NoSpace,
            // The file for shared memory could not grow.
            _ if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => Error::NoSpace,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::unavailable(faults::Failure(error)),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::Denied(faults::Failure(error).into()),
            _ => Error::internal(faults::Failure(error)),
        }
    }
}
