//! The thread that changes the index: it takes the queued changes, and commits them together.
//!
//! Invariants: a change that fails is undone alone; a group that runs out of room is repeated one by one, so that a
//! large change takes no room from small ones; a change that frees room may use the reserve; only a group of notes is
//! committed without a sync; after a failed write, sync or rollback nothing is committed or written back any more.
//!
//! The writer writes the log back itself, because SQLite would not report a failure of that. A failed sync of the log
//! may have lost notes in the middle of it, and no commit behind them would be found again. A failed sync of the main
//! file may have lost pages that a partial write-back counts as done.

use super::faults::{self, Failure};
use crate::local::files::health::Health;
use crate::local::files::reserve::Reserve;
use crate::{Error, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use tokio::sync::mpsc;

/// Largest number of changes of one transaction.
const GROUP: usize = 256;
/// Pages in the log from which on it is written back.
const LOG_PAGES: i32 = 1_000;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A change that is durable when it returns.
    Keeps,
    /// A durable change that frees room in the end.
    Frees,
    /// A change that a loss of power may undo; it needs no sync.
    Notes,
}

/// A change in the queue.
pub(crate) trait Change: Send {
    /// Its kind.
    fn kind(&self) -> Kind;
    /// Does the work in the open transaction. May be called again after a rollback.
    fn run(&mut self, conn: &Connection, health: &Health);
    /// Records that the change was not made or was undone, unless the work itself has failed.
    fn undone(&mut self, why: Error);
    /// The error, if the change has failed.
    fn error(&self) -> Option<&Error>;
    /// Passes the result to the waiting caller.
    fn answer(self: Box<Self>);
}

struct Job<T, W, A> {
    kind: Kind,
    work: W,
    result: Option<Result<T>>,
    answer: A,
}

/// A change of this kind, which does `work` and passes the result to `answer`.
pub(crate) fn change<T: Send + 'static>(
    kind: Kind,
    work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    answer: impl FnOnce(Result<T>) + Send + 'static,
) -> Box<dyn Change> {
    Box::new(Job { kind, work, result: None, answer })
}

impl<T, W, A> Change for Job<T, W, A>
where
    T: Send,
    W: Fn(&Connection) -> Result<T> + Send,
    A: FnOnce(Result<T>) + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, conn: &Connection, health: &Health) {
        self.result = Some(alone(conn, health, &self.work));
    }

    fn undone(&mut self, why: Error) {
        if !matches!(self.result, Some(Err(_))) {
            self.result = Some(Err(why));
        }
    }

    fn error(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }

    fn answer(self: Box<Self>) {
        (self.answer)(self.result.unwrap_or_else(|| Err(Error::internal("a change was never made"))));
    }
}

/// Runs work so that its failure undoes only its own changes. Where SQLite can't do that, the whole transaction is
/// undone.
fn alone<T>(conn: &Connection, health: &Health, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
    conn.execute_batch("SAVEPOINT one")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::internal("a change of the index panicked")))
        .map_err(|error| faults::judge(conn, health, error));
    if conn.is_autocommit() {
        return result.and_then(|_| Err(Error::internal("SQLite has undone the transaction")));
    }
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    if let Err(error) = conn.execute_batch(end) {
        roll_back(conn, health);
        return Err(error.into());
    }
    result
}

/// The thread's connection, and the state of the store that it needs.
pub(crate) struct IndexWriter {
    conn: Connection,
    reserve: Arc<Reserve>,
    health: Arc<Health>,
    /// Whether commits are synced.
    durable: bool,
    /// Pages in the log after the last commit.
    log: Arc<AtomicI32>,
}

impl IndexWriter {
    /// A writer with a connection of its own.
    pub(crate) fn new(
        mut conn: Connection,
        reserve: Arc<Reserve>,
        health: Arc<Health>,
        durable: bool,
    ) -> rusqlite::Result<Self> {
        let log = Arc::new(AtomicI32::new(0));
        let noted = log.clone();
        conn.wal_hook(Some(move |_: &mut _, pages| {
            noted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(IndexWriter { conn, reserve, health, durable, log })
    }

    /// Processes changes until all senders are dropped.
    pub(crate) fn run(&self, mut queue: mpsc::Receiver<Box<dyn Change>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = queue.try_recv()
            {
                group.push(next);
            }
            self.serve(&mut group);
            for change in group {
                change.answer();
            }
            self.write_back();
        }
        if self.health.has_failed()
            && let Err(error) = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "closing the index may write its log back after a failure");
        }
    }

    fn serve(&self, group: &mut [Box<dyn Change>]) {
        self.attempt(group);
        if !group.iter().any(|change| out_of_room(&**change)) {
            return;
        }
        for change in group.iter_mut().filter(|change| out_of_room(&***change)) {
            self.attempt(std::slice::from_mut(change));
            if change.kind() == Kind::Frees && out_of_room(&**change) {
                self.reserve.lend(|| self.attempt(std::slice::from_mut(change)));
            }
        }
    }

    /// Makes changes and commits them. Afterwards each change that failed or was undone has its error.
    fn attempt(&self, changes: &mut [Box<dyn Change>]) {
        if let Err(error) = self.transaction(changes) {
            roll_back(&self.conn, &self.health);
            for change in changes {
                change.undone(self.health.repeat(&error));
            }
        }
    }

    fn transaction(&self, changes: &mut [Box<dyn Change>]) -> Result<()> {
        self.health.check()?;
        let all = |kind| changes.iter().all(|change| change.kind() == kind);
        let room = all(Kind::Frees) || self.reserve.is_whole();
        if self.durable {
            // Set each time, so that no durable change depends on an earlier setting.
            let synchronous = if all(Kind::Notes) { "NORMAL" } else { "FULL" };
            self.conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
        }
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        for change in changes {
            if room || change.kind() == Kind::Frees {
                change.run(&self.conn, &self.health);
            } else {
                change.undone(Error::NoSpace);
            }
            // The log has no commit mark of this transaction, so it can be undone for certain.
            self.health.check()?;
            if self.conn.is_autocommit() {
                // SQLite undoes the whole transaction when it runs out of room or memory.
                let why = change.error().map(Error::repeat);
                return Err(why.unwrap_or_else(|| Error::internal("SQLite has undone the transaction")));
            }
        }
        self.conn.execute_batch("COMMIT").map_err(|error| {
            if faults::is_lack_of_room(&self.conn, &error) {
                tracing::warn!(%error, "no room for a commit of the index");
                return Error::NoSpace;
            }
            let error = Failure(error);
            self.health.fail("a commit of the index", &error);
            Error::internal(error)
        })
    }

    /// Writes a long log back. A reader or a lack of room may prevent part of it; then the log grows, and the next
    /// commit tries again.
    fn write_back(&self) {
        if self.log.swap(0, Ordering::Relaxed) < LOG_PAGES || self.health.has_failed() {
            return;
        }
        if let Err(error) = self.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
            let is_busy = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
            if faults::is_lack_of_room(&self.conn, &error) || is_busy {
                tracing::debug!(%error, "the log of the index is not written back");
            } else {
                self.health.fail("writing the log of the index back", Failure(error));
            }
        }
    }
}

fn out_of_room(change: &dyn Change) -> bool {
    matches!(change.error(), Some(Error::NoSpace))
}

/// Rolls the transaction back, if there is one.
fn roll_back(conn: &Connection, health: &Health) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        health.fail("undoing a transaction of the index", Failure(error));
    }
}
