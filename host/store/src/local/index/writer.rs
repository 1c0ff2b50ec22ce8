//! The thread that changes the index: it takes what is queued, and commits it together.
//!
//! Invariants: a change that fails is undone alone; a group that runs out of room is tried again one by one, so that
//! what needs much room takes it from nobody who needs little; a change that frees room gets the reserve; only a group of
//! notes is committed without being made durable.

use super::super::reserve::Reserve;
use crate::{Error, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most changes of one transaction.
const GROUP: usize = 256;

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is durable when it is answered.
    Keeps,
    /// As that, and it gives room back in the end.
    Frees,
    /// It may be lost with the machine's power, so it syncs nothing of its own.
    Notes,
}

/// A change on its way through the thread.
pub(super) trait Change: Send {
    /// What it is for.
    fn kind(&self) -> Kind;
    /// Does the work in the transaction that is open. It may be done again after that was undone.
    fn run(&mut self, conn: &Connection);
    /// Notes that it is not made or has been undone, unless the work itself has failed.
    fn undone(&mut self, why: &Error);
    /// Why it has failed, if it has.
    fn error(&self) -> Option<&Error>;
    /// Tells whoever waits.
    fn answer(self: Box<Self>);
}

struct Job<T, W, A> {
    kind: Kind,
    work: W,
    result: Option<Result<T>>,
    answer: A,
}

/// Makes a change of work and of what to do with its result.
pub(super) fn change<T: Send + 'static>(
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

    fn run(&mut self, conn: &Connection) {
        self.result = Some(alone(conn, &self.work));
    }

    fn undone(&mut self, why: &Error) {
        if !matches!(self.result, Some(Err(_))) {
            self.result = Some(Err(why.repeat()));
        }
    }

    fn error(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }

    fn answer(self: Box<Self>) {
        (self.answer)(self.result.unwrap_or_else(|| Err(Error::internal("a change was never made"))));
    }
}

/// Runs work so that its failure undoes its own changes and no others. Where SQLite can't do that, the whole
/// transaction is undone.
fn alone<T>(conn: &Connection, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
    conn.execute_batch("SAVEPOINT one")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::internal("a change of the index panicked")));
    if conn.is_autocommit() {
        return result.and_then(|_| Err(Error::internal("SQLite has undone the transaction")));
    }
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    if let Err(error) = conn.execute_batch(end) {
        roll_back(conn);
        return Err(error.into());
    }
    result
}

/// The thread's connection, and what it needs beside.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) reserve: Arc<Reserve>,
    /// Whether anything is to survive the machine's power.
    pub(super) durable: bool,
}

impl Writer {
    /// Serves changes until nobody can send any more.
    pub(super) fn run(&self, mut queue: mpsc::Receiver<Box<dyn Change>>) {
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

    /// Makes changes and commits them. Each knows its error afterwards, if it has failed or was undone.
    fn attempt(&self, changes: &mut [Box<dyn Change>]) {
        if let Err(error) = self.transaction(changes) {
            roll_back(&self.conn);
            for change in changes {
                change.undone(&error);
            }
        }
    }

    fn transaction(&self, changes: &mut [Box<dyn Change>]) -> Result<()> {
        let all = |kind| changes.iter().all(|change| change.kind() == kind);
        let room = all(Kind::Frees) || self.reserve.is_whole();
        if self.durable {
            // Said each time, so that none that must be durable depends on what was said for another.
            let synchronous = if all(Kind::Notes) { "NORMAL" } else { "FULL" };
            self.conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
        }
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        for change in changes {
            if room || change.kind() == Kind::Frees {
                change.run(&self.conn);
            } else {
                change.undone(&Error::NoSpace);
            }
            if self.conn.is_autocommit() {
                // SQLite has undone the whole of it, which it does when it is short of room or memory.
                let why = change.error().map(Error::repeat);
                return Err(why.unwrap_or_else(|| Error::internal("SQLite has undone the transaction")));
            }
        }
        self.conn.execute_batch("COMMIT").map_err(|error| {
            tracing::error!(%error, "a commit of the index has failed");
            let wrote = error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE);
            // SQLite does not tell a quota or a limit from a broken disk.
            if wrote && self.reserve.is_full() { Error::NoSpace } else { error.into() }
        })
    }
}

fn out_of_room(change: &dyn Change) -> bool {
    matches!(change.error(), Some(Error::NoSpace))
}

/// Undoes the transaction, if there is one. If it can't be undone none can begin, and all that follows fails.
fn roll_back(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction of the index can't be undone");
    }
}
