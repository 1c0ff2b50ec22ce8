//! Removes tombstones of a certain age. Invariant: a tombstone is sealed before its removal, as every slot.

use crate::keys::ObjectKey;
use crate::request::objects::KEYS_MAX;
use crate::shared::Inner;
use crate::slots::slot::{LIVE_MIN, SEAL_MAX, Slot, State};
use portico_store::{Cursor, FileId, Purged, Result, Scope};
use std::sync::Arc;

/// Handles one page of a listing; reads only the slots that are small and old. Removes sealed slots again, whose
/// removal has failed.
pub(crate) async fn gone(inner: &Arc<Inner>, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged> {
    let prefix = inner.keys.receipts(scope);
    let after = after.map(|cursor| format!("{}{cursor}", prefix.key));
    let (listed, more) = inner.client.list(&prefix, after.as_deref(), KEYS_MAX).await?;
    let last = listed.last().and_then(|listed| listed.key.strip_prefix(&prefix.key));
    let next = last.filter(|_| more).map(Cursor::parse).transpose()?;
    let mut old = Vec::new();
    for listed in listed.into_iter().filter(|listed| listed.size < LIVE_MIN && listed.modified_ms < before_ms) {
        if listed.key.strip_prefix(&prefix.key).is_none_or(|id| FileId::parse(id).is_err()) {
            continue;
        }
        let object = ObjectKey { bucket: prefix.bucket.clone(), key: listed.key };
        match inner.slots.get(&object).await? {
            Some(slot) if is_forgotten(inner, &slot, before_ms) => old.push((object, slot)),
            _ => {}
        }
    }
    inner
        .detached(|inner| async move {
            let sealed = inner.slots.end(old, State::Sealed).await?;
            let sealed: Vec<_> =
                sealed.into_iter().filter(|(.., is_ours)| *is_ours).map(|(object, ..)| object).collect();
            inner.slots.remove_sealed(&sealed).await?;
            Ok(Purged { purged: u32::try_from(sealed.len()).unwrap_or(u32::MAX), next })
        })
        .await
}

fn is_forgotten(inner: &Inner, slot: &Slot, before_ms: u64) -> bool {
    match slot.state {
        State::Gone(_) => slot.modified_ms < before_ms,
        State::Sealed => inner.client.age(slot.modified_ms) > SEAL_MAX,
        State::Live(..) | State::Free => false,
    }
}
