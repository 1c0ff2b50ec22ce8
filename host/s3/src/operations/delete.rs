//! Deletes parts, sessions and final objects. Invariant: the slot, which decides, goes before the data.

use crate::content::data::remove_data;
use crate::keys::ObjectKey;
use crate::operations::list;
use crate::shared::Inner;
use crate::slots::found::{Found, found};
use crate::slots::slot::{Slot, State, Taken, live};
use portico_store::{FileId, FinalKey, Reason, Result, Scope, SessionId, TempKey};
use std::sync::Arc;

/// The reason in the tombstone of a deleted object.
const DELETED: &str = "deleted";

/// Deletes a part: first its receipt, then its data.
pub(crate) async fn part(inner: &Arc<Inner>, scope: &Scope, key: &TempKey) -> Result<bool> {
    let (scope, key) = (scope.clone(), key.clone());
    inner
        .detached(|inner| async move {
            let object = inner.keys.part(&scope, &key.session, key.number);
            let mut there = inner.slots.get(&object).await?;
            loop {
                let Some(slot) = there else { return Ok(false) };
                if live(Some(slot.clone())).is_none_or(|part| part.data != key.token.as_str()) {
                    return Ok(false);
                }
                inner.cache.forget(&object);
                match inner.slots.write(&object, Some(&slot), &State::Free).await? {
                    Ok(_) => break,
                    Err(now) => there = now,
                }
            }
            remove_data(&inner, &[inner.keys.temp_data(&scope, &key)]).await;
            Ok(true)
        })
        .await
}

/// Interrupts the puts of a session in this process, and deletes its parts.
pub(crate) async fn session(inner: &Arc<Inner>, scope: &Scope, session: &SessionId) -> Result<u32> {
    inner.registry.interrupt(scope, session).await;
    let (scope, session) = (scope.clone(), session.clone());
    inner
        .detached(|inner| async move {
            let _paused = inner.catchers.pause(&scope, &session).await;
            let mut count = 0;
            let mut after = None;
            loop {
                let (slots, next) = list::part_slots(&inner, &scope, &session, after).await?;
                let ended = end_parts(&inner, &scope, &session, slots).await?;
                count += ended.count;
                ended.remove(&inner).await;
                after = next;
                if after.is_none() {
                    return Ok(count);
                }
            }
        })
        .await
}

/// Deleted parts, and their remains.
pub(crate) struct Ended {
    /// Number of parts that this call deleted.
    count: u32,
    slots: Vec<ObjectKey>,
    data: Vec<ObjectKey>,
}

impl Ended {
    /// Removes the remains: first the slots, which others may wait for. Best effort: a sweep removes the rest.
    pub(crate) async fn remove(self, inner: &Inner) {
        if let Err(error) = inner.slots.remove_sealed(&self.slots).await {
            tracing::warn!(%error, "cannot remove slots of deleted parts; a sweep removes them later");
        }
        remove_data(inner, &self.data).await;
    }
}

/// Seals the slots of parts that are as they were seen.
pub(crate) async fn end_parts(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    slots: Vec<(u32, Slot)>,
) -> Result<Ended> {
    let slots = slots.into_iter().map(|(number, slot)| (inner.keys.part(scope, session, number), slot)).collect();
    let sealed = inner.slots.end(slots, State::Sealed).await?;
    let mut ended = Ended { count: 0, slots: Vec::new(), data: Vec::new() };
    for (object, slot, ours) in sealed {
        inner.cache.forget(&object);
        if !ours {
            continue;
        }
        if let Some(part) = live(Some(slot)) {
            ended.count += 1;
            let number = object.key.rsplit_once('!').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
            let key = TempKey { session: session.clone(), number, token: part.token()? };
            ended.data.push(inner.keys.temp_data(scope, &key));
        }
        ended.slots.push(object);
    }
    Ok(ended)
}

/// Replaces an object's receipt by a tombstone, then removes its data.
pub(crate) async fn final_object(inner: &Arc<Inner>, scope: &Scope, key: &FinalKey) -> Result<bool> {
    let Some((file, token)) = inner.keys.parse_final(scope, key) else { return Ok(false) };
    let scope = scope.clone();
    inner
        .detached(|inner| async move {
            let object = inner.keys.receipt(&scope, &file);
            let mut there = inner.slots.get(&object).await?;
            loop {
                let slot = match found(there)? {
                    Found::Live(receipt, slot) if receipt.data == token.as_str() => slot,
                    _ => return Ok(false),
                };
                match inner.slots.write(&object, Some(&slot), &State::Gone(DELETED.to_owned())).await? {
                    Ok(_) => break,
                    Err(now) => there = now,
                }
            }
            remove_data(&inner, &[inner.keys.final_data(&scope, &file, &token)]).await;
            Ok(true)
        })
        .await
}

/// Creates a tombstone where nothing exists.
pub(crate) async fn void(inner: &Arc<Inner>, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool> {
    let (object, state) = (inner.keys.receipt(scope, file), State::Gone(reason.to_string()));
    inner.detached(|inner| async move { Ok(matches!(inner.slots.take(&object, &state).await?, Taken::Done(_))) }).await
}
