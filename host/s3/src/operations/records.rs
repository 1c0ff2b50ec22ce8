//! Records. Invariant: the version of a record is the token of its latest write.

use crate::keys::ObjectKey;
use crate::shared::Inner;
use crate::slots::receipt::SlotContent;
use crate::slots::slot::{Slot, State, Taken};
use bytes::Bytes;
use portico_store::{Error, Record, RecordName, Result, Scope, limits};
use std::sync::Arc;

fn state(value: &[u8]) -> Result<State> {
    if value.len() > limits::RECORD_VALUE_MAX {
        return Err(Error::TooLarge { limit: limits::RECORD_VALUE_MAX as u64 });
    }
    Ok(State::Live(SlotContent::Record, Bytes::copy_from_slice(value)))
}

fn live(slot: Option<Slot>) -> Option<(Slot, Bytes)> {
    let slot = slot?;
    match &slot.state {
        State::Live(SlotContent::Record, value) => Some((slot.clone(), value.clone())),
        _ => None,
    }
}

pub(crate) async fn create(inner: &Arc<Inner>, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
    let (object, state) = (inner.keys.record(scope, name), state(value)?);
    inner
        .detached(|inner| async move {
            match inner.slots.take(&object, &state).await? {
                Taken::Done(slot) => Ok(slot.token.to_string()),
                Taken::Other(_) => Err(Error::Conflict),
            }
        })
        .await
}

pub(crate) async fn get(inner: &Inner, scope: &Scope, name: &RecordName) -> Result<Record> {
    let slot = inner.slots.get(&inner.keys.record(scope, name)).await?;
    let (slot, value) = live(slot).ok_or(Error::NotFound)?;
    Ok(Record { name: name.clone(), version: slot.token.to_string(), value: value.to_vec() })
}

pub(crate) async fn replace(
    inner: &Arc<Inner>,
    scope: &Scope,
    name: &RecordName,
    version: &str,
    value: &[u8],
) -> Result<String> {
    let (object, state) = (inner.keys.record(scope, name), state(value)?);
    match change(inner, object, Some(version), state).await? {
        Some(slot) => Ok(slot.token.to_string()),
        None => Err(Error::NotFound),
    }
}

pub(crate) async fn delete(
    inner: &Arc<Inner>,
    scope: &Scope,
    name: &RecordName,
    version: Option<&str>,
) -> Result<bool> {
    let object = inner.keys.record(scope, name);
    Ok(change(inner, object, version, State::Free).await?.is_some())
}

/// Changes a record that has `version`; returns `None` if there is no record.
async fn change(inner: &Arc<Inner>, object: ObjectKey, version: Option<&str>, state: State) -> Result<Option<Slot>> {
    let version = version.map(str::to_owned);
    inner
        .detached(|inner| async move {
            let mut there = inner.slots.get(&object).await?;
            loop {
                let Some((slot, _)) = live(there) else { return Ok(None) };
                if version.as_deref().is_some_and(|version| version != slot.token.as_str()) {
                    return Err(Error::Conflict);
                }
                match inner.slots.write(&object, Some(&slot), &state).await? {
                    Ok(slot) => return Ok(Some(slot)),
                    Err(now) => there = now,
                }
            }
        })
        .await
}
