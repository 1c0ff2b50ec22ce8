//! Tombstones: final objects that were deleted, and ids that were voided.
//!
//! Invariant: data of a deleted object is removed only under the lock of its file id and after its tombstone was seen,
//! so that a later object of the same id is never hit.

use crate::limits::PAGE_MAX;
use crate::local::files::layout;
use crate::local::index::finals;
use crate::local::operations::publish;
use crate::local::shared::Inner;
use crate::local::shared::blocking;
use crate::local::shared::now_ms;
use crate::{Cursor, Error, FileId, FinalKey, Purged, Result, Scope};
use std::sync::Arc;

/// Replaces an object by a tombstone, then removes its data; true if the object existed.
pub(crate) async fn delete(inner: &Arc<Inner>, scope: &Scope, key: &FinalKey) -> Result<bool> {
    let Some(file) = layout::file_of(scope, key) else { return Ok(false) };
    let _lock = inner.names.lock(scope, &file).await?;
    let (of, id) = (scope.clone(), file.clone());
    if !inner.index.free(move |conn| finals::delete(conn, &of, &id, now_ms())).await? {
        return Ok(false);
    }
    // The next sweep records the removal, for many objects at once.
    let path = layout::final_path(scope, &file);
    if let Err(error) = blocking(inner, move |inner| inner.disk.unlink(&path)).await {
        tracing::warn!(error = %error.told(), "the data of a deleted object is left behind; the next sweep removes it");
    }
    Ok(true)
}

/// The result of removing the data of a deleted object.
pub(crate) enum Removed {
    /// Data of this many bytes was removed.
    Data(u64),
    /// No data of the object existed.
    Nothing,
    /// Something that this store did not make.
    Foreign,
}

/// Removes the data of a deleted object, if its tombstone exists.
pub(crate) async fn remove_data(inner: &Arc<Inner>, scope: &Scope, file: &FileId) -> Result<Removed> {
    let _lock = inner.names.lock(scope, file).await?;
    let Some(finals::FinalRow::Gone(_)) = publish::stat(inner, scope, file).await? else { return Ok(Removed::Nothing) };
    let path = layout::final_path(scope, file);
    blocking(inner, move |inner| match inner.disk.stat(&path)? {
        None => Ok(Removed::Nothing),
        Some(stat) if !stat.is_file => Ok(Removed::Foreign),
        Some(stat) => Ok(if inner.disk.unlink(&path)? { Removed::Data(stat.size) } else { Removed::Nothing }),
    })
    .await
}

/// Removes one page of old tombstones.
pub(crate) async fn purge(inner: &Arc<Inner>, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged> {
    let (of, from) = (scope.clone(), after.cloned());
    let old = inner
        .index
        .read(move |conn| finals::gone_before(conn, &of, before_ms, from.as_ref().map(Cursor::as_str), PAGE_MAX))
        .await?;
    let next = if old.len() == PAGE_MAX as usize { old.last() } else { None };
    let next = next.map(|(file, _)| Cursor::parse(file.as_str())).transpose()?;
    if old.iter().any(|(_, has_data)| *has_data) {
        for (file, _) in old.iter().filter(|(_, has_data)| *has_data) {
            match remove_data(inner, scope, file).await {
                // An id in doubt keeps its tombstone.
                Ok(_) | Err(Error::Unavailable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // A name that came back after a power failure would be an unknown file.
        let dir = layout::final_dir(scope);
        blocking(inner, move |inner| inner.disk.sync_dir(&dir)).await?;
    }
    // In the order of the ids, as everywhere where several locks are taken.
    let (mut locks, mut ids) = (Vec::new(), Vec::new());
    for (file, has_data) in old {
        match inner.names.lock(scope, &file).await {
            Ok(lock) => locks.push(lock),
            Err(Error::Unavailable { .. }) => continue,
            Err(error) => return Err(error),
        }
        ids.push((file, has_data));
    }
    let of = scope.clone();
    let forget = move |conn: &rusqlite::Connection| {
        ids.iter().try_fold(0, |purged, (file, removed)| {
            Ok(purged + u32::from(finals::forget(conn, &of, file, before_ms, *removed)?))
        })
    };
    let purged = inner.index.free(forget).await?;
    drop(locks);
    Ok(Purged { purged, next })
}
