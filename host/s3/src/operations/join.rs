//! Joins of parts: their content is read and written again as one part, which inherits their chains.

use crate::content::reading::{Source, open};
use crate::limits;
use crate::operations::{put_part, read};
use crate::shared::Inner;
use crate::slots::receipt::{Part, StoredChain};
use portico_store::{
    Backend, Chain, Error, Expected, PartOptions, PartReceipt, Result, Scope, SessionId, TempKey, copy_parts,
    delete_joined,
};
use std::sync::Arc;

/// Joins parts. `store` deletes them afterwards.
pub(crate) async fn join(
    store: &dyn Backend,
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    list: &[TempKey],
) -> Result<PartReceipt> {
    let parts = list.iter().map(|key| read::there(inner, scope, key));
    let parts: Vec<Part> = futures_util::future::try_join_all(parts).await?;
    let size = parts.iter().map(|part| part.size).sum();
    if size > limits::MAX_JOIN_SIZE {
        return Err(Error::TooLarge { limit: limits::MAX_JOIN_SIZE });
    }
    let chains: Vec<Option<Chain>> = parts.iter().filter(|part| part.size > 0).map(Part::chain).collect();
    let chain = Chain::joined(chains.iter().map(Option::as_ref));
    let expected = Expected { size: Some(size), ..Expected::default() };
    let offset = parts.first().and_then(|part| part.offset);
    let options = PartOptions { expected, offset, ..PartOptions::default() };
    let chain = chain.as_ref().map(StoredChain::of);
    let writer = put_part::begin(inner, scope, session, number, options, chain).await?;
    let sources: Vec<Source> = list
        .iter()
        .zip(&parts)
        .map(|(key, part)| Source { object: inner.keys.temp_data(scope, key), size: part.size })
        .collect();
    let open = |source: &Source| {
        let Source { object, size } = source;
        let source = Source { object: object.clone(), size: *size };
        async move {
            let end = source.size;
            open(inner, source, 0..end).await
        }
    };
    let joined = copy_parts(&sources, open, writer).await?;
    delete_joined(store, scope, list).await;
    Ok(joined)
}
