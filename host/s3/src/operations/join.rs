//! Joins of parts: their content is read and written again as one part, which inherits their chains.
//!
//! Invariant: the joined parts are deleted after the new part exists.

use crate::content::reading::{Source, open};
use crate::limits;
use crate::operations::{delete, put_part, read};
use crate::shared::Inner;
use crate::slots::receipt::{Part, StoredChain};
use portico_store::{
    Chain, Error, Expected, PartOptions, PartReceipt, Result, Scope, SessionId, TempKey, copy_parts, delete_joined,
};
use std::sync::Arc;

/// Joins parts. The caller must not drop the future, or joined parts may stay beside the new part.
pub(crate) async fn join(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    list: &[TempKey],
) -> Result<PartReceipt> {
    let mut parts: Vec<Part> = Vec::with_capacity(list.len());
    for batch in list.chunks(limits::JOIN_LOOKS) {
        let looks = batch.iter().map(|key| read::there(inner, scope, key));
        parts.extend(futures_util::future::try_join_all(looks).await?);
    }
    let size = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size)).unwrap_or(u64::MAX);
    let max = limits::MAX_JOIN_SIZE.min(inner.options.max_object_size);
    if size > max {
        return Err(Error::TooLarge { limit: max });
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
    delete_joined(list, |key| {
        let key = key.clone();
        async move { delete::part(inner, scope, &key).await }
    })
    .await;
    Ok(joined)
}
