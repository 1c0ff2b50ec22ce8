//! Deletes parts. Invariant: the row, which decides, goes before the data.

use crate::local::files::layout;
use crate::local::index::parts::{self, PartFile};
use crate::local::shared::{Inner, blocking};
use crate::{Result, Scope, TempKey};
use std::sync::Arc;

/// Deletes a part; true if it existed. A sweep removes data whose removal fails here.
pub(crate) async fn part(inner: &Arc<Inner>, scope: &Scope, key: &TempKey) -> Result<bool> {
    inner.sessions.are_parts_certain(scope, &key.session)?;
    let (of, key) = (scope.clone(), key.clone());
    let deleted = inner.index.free(move |conn| parts::delete(conn, &of, &key)).await?;
    let Some(row) = deleted else { return Ok(false) };
    if row.file == PartFile::Own {
        let path = layout::own(scope, &row.key.session, &row.key.token);
        if let Err(error) = blocking(inner, move |inner| inner.disk.unlink(&path)).await {
            tracing::warn!(error = %error.told(), "deleted data is left behind; the next sweep removes it");
        }
    }
    Ok(true)
}
