//! How a final object comes to exist: its data gets its name, then its row makes it exist.
//!
//! Invariants: the lock of the file id is held throughout; the data is durable before it has its name, and the name before the
//! row; until the row is durable the data keeps the name that it was staged under, so that the next opening can tell an
//! unfinished publication from a file of somebody else.

use crate::local::files::layout;
use crate::local::index;
use crate::local::index::finals::{self, FinalRow};
use crate::local::names::NameLock;
use crate::local::shared::Inner;
use crate::{Error, FileId, FinalReceipt, IfExists, Result, Scope};
use rusqlite::Connection;
use std::path::Path;

/// A publication that failed.
pub(crate) struct Unpublished {
    /// The cause.
    pub(crate) error: Error,
    /// Whether the data still has the object's name, and perhaps its row. Then the staged data must stay as it is.
    pub(crate) in_doubt: bool,
}

impl From<Error> for Unpublished {
    fn from(error: Error) -> Self {
        Unpublished { error, in_doubt: false }
    }
}

/// Publishes the durable file at `staged` under the receipt's id. `with_row` runs in the transaction that creates the row.
/// Returns the receipt of the object that exists then: an earlier one of the same content, if there is one. Blocks.
pub(crate) fn publish(
    inner: &Inner,
    lock: NameLock,
    scope: &Scope,
    receipt: FinalReceipt,
    staged: &Path,
    if_exists: IfExists,
    with_row: impl Fn(&Connection) -> Result<()> + Send + 'static,
) -> Result<FinalReceipt, Unpublished> {
    let published = publish_locked(inner, scope, receipt, staged, if_exists, with_row);
    if published.as_ref().is_err_and(|failed| failed.in_doubt) {
        lock.keep_in_doubt();
    }
    published
}

fn publish_locked(
    inner: &Inner,
    scope: &Scope,
    receipt: FinalReceipt,
    staged: &Path,
    if_exists: IfExists,
    with_row: impl Fn(&Connection) -> Result<()> + Send + 'static,
) -> Result<FinalReceipt, Unpublished> {
    let path = layout::final_path(scope, &receipt.file);
    if !inner.disk.link(staged, &path)? {
        let (of, file) = (scope.clone(), receipt.file.clone());
        return match inner.index.write_blocking(move |conn| finals::get(conn, &of, &file))? {
            Some(row) => Ok(compare_existing(row, &receipt, if_exists)?),
            None => {
                tracing::error!(path = %path.display(), "a file that this store did not make holds the name of a final object");
                Err(Error::Conflict.into())
            }
        };
    }
    if let Err(error) = inner.disk.sync_dir(&layout::final_dir(scope)) {
        let unnamed = inner.disk.unlink(&path);
        return Err(Unpublished { error, in_doubt: unnamed.is_err() });
    }
    let row = {
        let (scope, receipt) = (scope.clone(), receipt.clone());
        move |conn: &Connection| match finals::insert(conn, &scope, &receipt)? {
            None => with_row(conn).map(|()| None),
            taken => Ok(taken),
        }
    };
    let existing = match inner.index.write_blocking(row) {
        Ok(None) => return Ok(receipt),
        // A tombstone, which needs no lock, came first; or a row whose file is missing.
        Ok(Some(row)) => compare_existing(row, &receipt, if_exists),
        Err(error) if index::in_doubt(&error) => return Err(Unpublished { error, in_doubt: true }),
        Err(error) => Err(error),
    };
    inner.disk.unlink(&path).map_err(|error| Unpublished { error, in_doubt: true })?;
    Ok(existing?)
}

/// The row of a file id.
///
/// # Errors
/// [`Error::Unavailable`] if a publication of it is in doubt.
pub(crate) async fn stat(inner: &Inner, scope: &Scope, file: &FileId) -> Result<Option<finals::FinalRow>> {
    inner.names.is_certain(scope, file)?;
    let (scope, file) = (scope.clone(), file.clone());
    inner.index.read(move |conn| finals::get(conn, &scope, &file)).await
}

/// The outcome for content whose file id is taken: the existing receipt if the content is the same and that is allowed.
///
/// # Errors
/// [`Error::Gone`], [`Error::Conflict`].
pub(crate) fn compare_existing(row: FinalRow, ours: &FinalReceipt, if_exists: IfExists) -> Result<FinalReceipt> {
    match (row, if_exists) {
        (FinalRow::Gone(reason), _) => Err(Error::Gone(reason)),
        (FinalRow::Live(there), IfExists::SameContentOk) if there.size == ours.size && there.sha256 == ours.sha256 => {
            Ok(FinalReceipt { replayed: true, ..there })
        }
        (FinalRow::Live(_), _) => Err(Error::Conflict),
    }
}
