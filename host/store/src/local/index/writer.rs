//! The thread that changes the index: it takes what is queued, and commits it together.
//!
//! Invariants: a change that fails is undone alone; a group that runs out of room is tried again one by one, so that
//! what needs much room takes it from nobody who needs little; a change that frees room gets the reserve.

use super::super::reserve::Reserve;
use crate::{Error, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::mpsc;

/// Most changes of one transaction.
const GROUP: usize = 256;

/// A change on its way through the thread.
pub(super) trait Change: Send {
    /// Whether it gives room back in the end.
    fn frees(&self) -> bool;
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
    frees: bool,
    work: W,
    result: Option<Result<T>>,
    answer: A,
}

/// Makes a change of work and of what to do with its result.
pub(super) fn change<T: Send + 'static>(
    frees: bool,
    work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    answer: impl FnOnce(Result<T>) + Send + 'static,
) -> Box<dyn Change> {
    Box::new(Job { frees, work, result: None, answer })
}

impl<T, W, A> Change for Job<T, W, A>
where
    T: Send,
    W: Fn(&Connection) -> Result<T> + Send,
    A: FnOnce(Result<T>) + Send,
{
    fn frees(&self) -> bool {
        self.frees
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

/// Serves changes until nobody can send any more.
pub(super) fn run(conn: &Connection, reserve: &Reserve, mut queue: mpsc::Receiver<Box<dyn Change>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        serve(conn, reserve, &mut group);
        for change in group {
            change.answer();
        }
    }
}

fn serve(conn: &Connection, reserve: &Reserve, group: &mut [Box<dyn Change>]) {
    attempt(conn, reserve, group);
    if !group.iter().any(|change| out_of_room(&**change)) {
        return;
    }
    for change in group.iter_mut().filter(|change| out_of_room(&***change)) {
        attempt(conn, reserve, std::slice::from_mut(change));
        if change.frees() && out_of_room(&**change) {
            reserve.lend(|| attempt(conn, reserve, std::slice::from_mut(change)));
        }
    }
}

fn out_of_room(change: &dyn Change) -> bool {
    matches!(change.error(), Some(Error::NoSpace))
}

/// Makes changes and commits them. Each knows its error afterwards, if it has failed or was undone.
fn attempt(conn: &Connection, reserve: &Reserve, changes: &mut [Box<dyn Change>]) {
    if let Err(error) = transaction(conn, reserve, changes) {
        roll_back(conn);
        for change in changes {
            change.undone(&error);
        }
    }
}

fn transaction(conn: &Connection, reserve: &Reserve, changes: &mut [Box<dyn Change>]) -> Result<()> {
    let room = changes.iter().all(|change| change.frees()) || reserve.is_whole();
    conn.execute_batch("BEGIN IMMEDIATE")?;
    for change in changes {
        if room || change.frees() {
            change.run(conn);
        } else {
            change.undone(&Error::NoSpace);
        }
        if conn.is_autocommit() {
            // SQLite has undone the whole of it, which it does when it is short of room or memory.
            let why = change.error().map(Error::repeat);
            return Err(why.unwrap_or_else(|| Error::internal("SQLite has undone the transaction")));
        }
    }
    conn.execute_batch("COMMIT").map_err(|error| {
        tracing::error!(%error, "a commit of the index has failed");
        let wrote = error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE);
        // SQLite does not tell a quota or a limit from a broken disk.
        if wrote && reserve.is_full() { Error::NoSpace } else { error.into() }
    })
}

/// Undoes the transaction, if there is one. If it can't be undone none can begin, and all that follows fails.
fn roll_back(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction of the index can't be undone");
    }
}
