//! How a final object comes to exist: its data gets its name, then its row makes it exist.
//!
//! Invariants: for one file id this runs one at a time; the data is durable before it has its name, and the name
//! before the row; until the row is durable the data keeps the name that it was staged under, so that the next
//! opening can tell an unfinished publication from a file that is not ours.

use super::index::{self, finals};
use super::{Inner, blocking, layout};
use crate::{Error, FileId, FinalReceipt, IfExists, Result, Scope};
use rusqlite::Connection;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Locks on file ids.
#[derive(Default)]
pub(super) struct Names {
    taken: Mutex<HashSet<(Scope, FileId)>>,
    freed: Notify,
}

impl Names {
    /// Waits for the lock of a file id.
    pub(super) async fn lock(self: &Arc<Self>, scope: &Scope, file: &FileId) -> NameLock {
        let name = (scope.clone(), file.clone());
        loop {
            let freed = self.freed.notified();
            if self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
                return NameLock { names: self.clone(), name };
            }
            freed.await;
        }
    }
}

/// A lock that is held.
pub(super) struct NameLock {
    names: Arc<Names>,
    name: (Scope, FileId),
}

impl Drop for NameLock {
    fn drop(&mut self) {
        self.names.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        self.names.freed.notify_waiters();
    }
}

/// What became of a publication that failed.
pub(super) struct Unpublished {
    /// Why.
    pub(super) error: Error,
    /// Whether the row may be there after all. The staged data must stay as it is then.
    pub(super) in_doubt: bool,
}

impl From<Error> for Unpublished {
    fn from(error: Error) -> Self {
        Unpublished { error, in_doubt: false }
    }
}

/// Publishes the durable file at `staged` under the receipt's id. `with_row` runs in the transaction that makes the
/// row. Answers the receipt that stands there, which is another one if the same content was there before.
pub(super) async fn publish(
    inner: &Arc<Inner>,
    scope: &Scope,
    receipt: FinalReceipt,
    staged: PathBuf,
    if_exists: IfExists,
    with_row: impl Fn(&Connection) -> Result<()> + Send + 'static,
) -> Result<FinalReceipt, Unpublished> {
    let file = receipt.file.clone();
    let _lock = inner.names.lock(scope, &file).await;
    if let Some(row) = stat(inner, scope, &file).await? {
        return Ok(settle(row, &receipt, if_exists)?);
    }
    let path = layout::final_path(scope, &file);
    name(inner, staged, path.clone(), layout::final_dir(scope)).await?;

    inner.disk.step("commit")?;
    let row = {
        let (scope, receipt) = (scope.clone(), receipt.clone());
        move |conn: &Connection| match finals::insert(conn, &scope, &receipt)? {
            None => with_row(conn).map(|()| None),
            taken => Ok(taken),
        }
    };
    let written = inner.index.write(row).await;
    let in_doubt = written.as_ref().is_err_and(index::in_doubt);
    if !matches!(written, Ok(None)) && !in_doubt {
        blocking(inner, move |inner| inner.disk.unlink(&path)).await?;
    }
    match written {
        Ok(None) => {
            // The row is there; a store that is killed here has published.
            inner.disk.step("committed").map_err(|error| Unpublished { error, in_doubt: true })?;
            Ok(receipt)
        }
        Ok(Some(row)) => Ok(settle(row, &receipt, if_exists)?),
        Err(error) => Err(Unpublished { error, in_doubt }),
    }
}

/// Gives the data its name, durably; leaves no name on failure.
async fn name(inner: &Arc<Inner>, staged: PathBuf, path: PathBuf, dir: PathBuf) -> Result<()> {
    blocking(inner, move |inner| {
        if !inner.disk.link(&staged, &path)? {
            let unfinished = inner.disk.stat(&path)?.is_some_and(|stat| stat.links > 1);
            tracing::error!(path = %path.display(), unfinished, "a file without a row holds the name of a final object");
            return Err(if unfinished {
                Error::unavailable("an unfinished publication holds the name; opening the store again clears it")
            } else {
                Error::Conflict
            });
        }
        inner.disk.sync_dir(&dir).inspect_err(|_| {
            if let Err(error) = inner.disk.unlink(&path) {
                tracing::error!(path = %path.display(), %error, "an unfinished publication keeps its name");
            }
        })
    })
    .await
}

/// The row of a file id.
pub(super) async fn stat(inner: &Inner, scope: &Scope, file: &FileId) -> Result<Option<finals::FinalRow>> {
    let (scope, file) = (scope.clone(), file.clone());
    inner.index.read(move |conn| finals::get(conn, &scope, &file)).await
}

/// What to answer when the name was taken before.
pub(super) fn settle(row: finals::FinalRow, ours: &FinalReceipt, if_exists: IfExists) -> Result<FinalReceipt> {
    match (row, if_exists) {
        (finals::FinalRow::Gone(reason), _) => Err(Error::Gone(reason)),
        (finals::FinalRow::Live(there), IfExists::SameContentOk)
            if there.size == ours.size && there.sha256 == ours.sha256 =>
        {
            Ok(FinalReceipt { replayed: true, ..there })
        }
        (finals::FinalRow::Live(_), _) => Err(Error::Conflict),
    }
}
