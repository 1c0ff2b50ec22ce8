//! The thread that changes the index: it takes what is queued, and commits it together.

use crate::{Error, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::mpsc;

/// Most changes of one transaction.
const GROUP: usize = 256;

/// A change: it runs in the transaction of its group, and answers when it is told how the commit went.
pub(super) type Change = Box<dyn FnOnce(&Connection) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Option<&Error>) + Send>;

/// Makes a change of work and of what to do with its result.
pub(super) fn change<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    answer: impl FnOnce(Result<T>) + Send + 'static,
) -> Change {
    Box::new(move |conn| {
        let result = alone(conn, work);
        Box::new(move |failure| {
            answer(match (result, failure) {
                (Ok(_), Some(failure)) => Err(failure.repeat()),
                (result, _) => result,
            });
        })
    })
}

/// Runs work so that its failure undoes its own changes and no others.
fn alone<T>(conn: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    conn.execute_batch("SAVEPOINT one")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::internal("a change of the index panicked")));
    if result.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK TO one")?;
    }
    if !conn.is_autocommit() {
        conn.execute_batch("RELEASE one")?;
    }
    result
}

/// Serves changes until nobody can send any more.
pub(super) fn run(conn: &Connection, mut queue: mpsc::Receiver<Change>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        commit(conn, group);
    }
}

fn commit(conn: &Connection, group: Vec<Change>) {
    let mut answers = Vec::with_capacity(group.len());
    let mut failure = conn.execute_batch("BEGIN IMMEDIATE").err().map(Error::from);
    for change in group {
        // Without a transaction the change itself would be one; it is dropped instead, which its sender sees.
        if failure.is_none() {
            answers.push(change(conn));
            if conn.is_autocommit() {
                // SQLite has rolled back the whole of it, which it does when it is short of room or memory.
                failure = Some(Error::NoSpace);
            }
        }
    }
    if failure.is_none()
        && let Err(error) = conn.execute_batch("COMMIT")
    {
        tracing::error!(%error, "a commit of the index has failed");
        failure = Some(error.into());
    }
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction of the index can't be rolled back");
    }
    for answer in answers {
        answer(failure.as_ref());
    }
}
