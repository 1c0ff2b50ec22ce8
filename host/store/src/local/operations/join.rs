//! Joins of parts: neighbours in the session's own file become one row, and no byte moves. Other parts are copied.

use crate::local::index::parts::{self, PartFile, PartRow};
use crate::local::operations::{put_part, read};
use crate::local::shared::{LocalStore, detached};
use crate::{
    ByteRange, Chain, Error, Expected, PartOptions, PartReceipt, Result, Scope, SessionId, TempKey, Token, copy_parts,
    delete_joined, limits,
};
use rusqlite::Connection;

pub(crate) async fn join(
    store: &LocalStore,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    list: &[TempKey],
) -> Result<PartReceipt> {
    let inner = &store.inner;
    inner.sessions.are_parts_certain(scope, session)?;
    let key = TempKey { session: session.clone(), number, token: Token::random()? };
    let (of, here, keys) = (scope.clone(), inner.clone(), list.to_vec());
    // A note: a join that is lost leaves the parts as they were.
    let joined = detached(async move { here.index.note(move |conn| in_place(conn, &of, &key, &keys)).await }).await?;
    match joined {
        InPlace::Done(row) => Ok(put_part::receipt(row)),
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
            delete_joined(store, scope, list).await;
            Ok(joined)
        }
    }
}

/// The outcome of an attempt to join in place.
enum InPlace {
    /// The new row.
    Done(PartRow),
    /// The parts are not neighbours in the session's own file. Carries their size, and the offset of the first.
    Scattered { size: u64, offset: Option<u64> },
}

/// Replaces the rows of neighbours in the session's own file by one row.
fn in_place(conn: &Connection, scope: &Scope, key: &TempKey, list: &[TempKey]) -> Result<InPlace> {
    if parts::get(conn, scope, &key.session, key.number)?.is_some() {
        return Err(Error::Conflict);
    }
    let row = |key: &TempKey| parts::by_key(conn, scope, key)?.ok_or(Error::NotFound);
    let rows = list.iter().map(row).collect::<Result<Vec<PartRow>>>()?;
    let size = rows.iter().map(|row| row.size).sum();
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
        None => Ok(InPlace::Done(joined)),
        Some(_) => Err(Error::Conflict),
    }
}
