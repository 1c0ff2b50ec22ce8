//! How a final object comes to exist: its data gets its name, then its row makes it exist.
//!
//! Invariants: for one file id this runs one at a time; the data is durable before it has its name, and the name
//! before the row; until the row is durable the data keeps the name that it was staged under, so that the next
//! opening can tell an unfinished publication from a file that is not ours.

use super::index::{self, finals};
use super::{Inner, blocking, layout};
use crate::watched::Watched;
use crate::{Error, FileId, FinalReceipt, IfExists, Result, Scope};
use rusqlite::Connection;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

/// Locks on file ids.
#[derive(Default)]
pub(super) struct Names(Watched<HashMap<(Scope, FileId), Lock>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Held,
    /// Nobody can tell whether the object exists; its name is not touched for as long as the store is open.
    Doubt,
}

impl Names {
    /// Waits for the lock of a file id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a publication of it is in doubt.
    pub(super) async fn lock(self: &Arc<Self>, scope: &Scope, file: &FileId) -> Result<NameLock> {
        let name = (scope.clone(), file.clone());
        let locked = self.0.until(|taken| match taken.entry(name.clone()) {
            Entry::Vacant(free) => {
                free.insert(Lock::Held);
                Some(Ok(()))
            }
            Entry::Occupied(lock) if *lock.get() == Lock::Doubt => Some(Err(doubt())),
            Entry::Occupied(_) => None,
        });
        locked.await.map(|()| NameLock { names: self.clone(), name })
    }

    /// Whether it is certain what stands under a file id.
    pub(super) fn is_certain(&self, scope: &Scope, file: &FileId) -> Result<()> {
        match self.0.lock().get(&(scope.clone(), file.clone())) {
            Some(Lock::Doubt) => Err(doubt()),
            _ => Ok(()),
        }
    }
}

fn doubt() -> Error {
    Error::unavailable("an unfinished publication holds the name; opening the store again clears it")
}

/// A lock that is held.
pub(super) struct NameLock {
    names: Arc<Names>,
    name: (Scope, FileId),
}

impl NameLock {
    /// Leaves the name as it is for as long as the store is open.
    fn keep_in_doubt(self) {
        self.names.0.lock().insert(self.name.clone(), Lock::Doubt);
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        if let Entry::Occupied(lock) = self.names.0.lock().entry(self.name.clone())
            && *lock.get() == Lock::Held
        {
            lock.remove();
        }
        self.names.0.notify();
    }
}

/// What became of a publication that failed.
pub(super) struct Unpublished {
    /// Why.
    pub(super) error: Error,
    /// Whether the data still has the object's name, and perhaps its row. The staged data must stay as it is then.
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
    let lock = inner.names.lock(scope, &receipt.file).await?;
    let published = publish_locked(inner, scope, receipt, staged, if_exists, with_row).await;
    if published.as_ref().is_err_and(|failed| failed.in_doubt) {
        lock.keep_in_doubt();
    }
    published
}

async fn publish_locked(
    inner: &Arc<Inner>,
    scope: &Scope,
    receipt: FinalReceipt,
    staged: PathBuf,
    if_exists: IfExists,
    with_row: impl Fn(&Connection) -> Result<()> + Send + 'static,
) -> Result<FinalReceipt, Unpublished> {
    if let Some(row) = stat(inner, scope, &receipt.file).await? {
        return Ok(settle(row, &receipt, if_exists)?);
    }
    let path = layout::final_path(scope, &receipt.file);
    name(inner, staged, path.clone(), layout::final_dir(scope)).await?;
    let row = {
        let (scope, receipt) = (scope.clone(), receipt.clone());
        move |conn: &Connection| match finals::insert(conn, &scope, &receipt)? {
            None => with_row(conn).map(|()| None),
            taken => Ok(taken),
        }
    };
    let settled = match inner.write(row).await {
        Ok(None) => return Ok(receipt),
        // A tombstone, which needs no lock, was faster.
        Ok(Some(row)) => settle(row, &receipt, if_exists),
        Err(error) if index::in_doubt(&error) => return Err(Unpublished { error, in_doubt: true }),
        Err(error) => Err(error),
    };
    let unnamed = blocking(inner, move |inner| inner.disk.unlink(&path)).await;
    unnamed.map_err(|error| Unpublished { error, in_doubt: true })?;
    Ok(settled?)
}

/// Gives the data its name, durably.
async fn name(inner: &Arc<Inner>, staged: PathBuf, path: PathBuf, dir: PathBuf) -> Result<(), Unpublished> {
    blocking(inner, move |inner| {
        if !inner.disk.link(&staged, &path)? {
            tracing::error!(path = %path.display(), "a file that is not ours holds the name of a final object");
            return Err(Error::Conflict);
        }
        Ok(inner.disk.sync_dir(&dir).map_err(|error| {
            let unnamed = inner.disk.unlink(&path);
            Unpublished { error, in_doubt: unnamed.is_err() }
        }))
    })
    .await?
}

/// The row of a file id.
///
/// # Errors
/// [`Error::Unavailable`] if a publication of it is in doubt.
pub(super) async fn stat(inner: &Inner, scope: &Scope, file: &FileId) -> Result<Option<finals::FinalRow>> {
    inner.names.is_certain(scope, file)?;
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
