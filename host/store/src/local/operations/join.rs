//! Joins of parts: neighbours in the session's own file become one row, and no byte moves. Other parts are copied.
//!
//! Invariant: the joined parts go in the transaction that creates the new row, or after that row is durable.

use crate::local::digest::catch_up;
use crate::local::digest::chain::{self, Due};
use crate::local::index::parts::{self, PartFile, PartRow};
use crate::local::operations::{delete, put_part, read};
use crate::local::shared::Inner;
use crate::{
    ByteRange, Chain, Error, Expected, PartOptions, PartReceipt, Result, Scope, SessionId, TempKey, Token, copy_parts,
    delete_joined, limits,
};
use rusqlite::Connection;
use std::sync::Arc;

/// Joins parts. The caller must not drop the future, or joined parts may stay beside the new part.
pub(crate) async fn join(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    list: &[TempKey],
) -> Result<PartReceipt> {
    inner.sessions.are_parts_certain(scope, session)?;
    let key = TempKey { session: session.clone(), number, token: Token::random()? };
    let (of, keys, max) = (scope.clone(), list.to_vec(), inner.options.max_object_size);
    // A note: a join that is lost leaves the parts as they were.
    match inner.index.note(move |conn| in_place(conn, &of, &key, &keys, max)).await? {
        InPlace::Done(row, due) => {
            catch_up::start(inner, scope, session, due);
            Ok(put_part::receipt(row))
        }
        InPlace::Scattered { size, .. } if size > limits::JOIN_COPY_MAX => {
            Err(Error::TooLarge { limit: limits::JOIN_COPY_MAX })
        }
        InPlace::Scattered { size, offset } => {
            let expected = Expected { size: Some(size), ..Expected::default() };
            let options = PartOptions { expected, offset, ..PartOptions::default() };
            let writer = put_part::begin_part(inner, scope, session, number, options).await?;
            let open = |key: &TempKey| {
                let key = key.clone();
                async move { read::part(inner, scope, &key, ByteRange::default()).await }
            };
            let joined = copy_parts(list, open, writer).await?;
            delete_joined(list, |key| {
                let key = key.clone();
                async move { delete::part(inner, scope, &key).await }
            })
            .await;
            Ok(joined)
        }
    }
}

/// The outcome of an attempt to join in place.
enum InPlace {
    /// The new row, and the background hashing that is due.
    Done(PartRow, Due),
    /// The parts are not neighbours in the session's own file. Carries their size, and the offset of the first.
    Scattered { size: u64, offset: Option<u64> },
}

/// Replaces the rows of neighbours in the session's own file by one row.
fn in_place(conn: &Connection, scope: &Scope, key: &TempKey, list: &[TempKey], max: u64) -> Result<InPlace> {
    if parts::get(conn, scope, &key.session, key.number)?.is_some() {
        return Err(Error::Conflict);
    }
    let row = |key: &TempKey| parts::by_key(conn, scope, key)?.ok_or(Error::NotFound);
    let rows = list.iter().map(row).collect::<Result<Vec<PartRow>>>()?;
    let size = rows.iter().try_fold(0u64, |sum, row| sum.checked_add(row.size)).unwrap_or(u64::MAX);
    if size > max {
        return Err(Error::TooLarge { limit: max });
    }
    let offset = rows.first().and_then(|row| row.offset);
    let mut at = offset;
    let are_neighbours = rows.iter().all(|row| {
        let fits = row.file == PartFile::Placed && row.offset.is_some() && row.offset == at;
        at = at.map(|at| at + row.size);
        fits
    });
    if !are_neighbours {
        return Ok(InPlace::Scattered { size, offset });
    }
    // An empty part has no chain, and changes nothing.
    let chain = Chain::joined(rows.iter().filter(|row| row.size > 0).map(|row| row.chain.as_ref()));
    for row in &rows {
        parts::remove(conn, scope, &row.key)?;
    }
    let joined = PartRow { key: key.clone(), size, file: PartFile::Placed, offset, sha256: None, chain };
    match parts::insert(conn, scope, &joined)? {
        None => {
            let due = chain::due(conn, scope, &joined)?;
            Ok(InPlace::Done(joined, due))
        }
        Some(_) => Err(Error::Conflict),
    }
}
