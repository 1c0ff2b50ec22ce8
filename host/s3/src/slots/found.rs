//! Looks up slots by their purpose: what a file id names, and the slots of parts.

use crate::keys::ObjectKey;
use crate::shared::Inner;
use crate::slots::receipt::{Final, SlotContent};
use crate::slots::slot::{Slot, State};
use portico_store::{Error, FileId, Result, Scope};

/// The thing that a file id names.
pub(crate) enum Found {
    Nothing,
    Live(Box<Final>, Box<Slot>),
    Gone(String),
}

pub(crate) fn found(slot: Option<Slot>) -> Result<Found> {
    let Some(slot) = slot else { return Ok(Found::Nothing) };
    match &slot.state {
        State::Live(SlotContent::Final(there), _) => Ok(Found::Live(Box::new(there.clone()), Box::new(slot))),
        State::Live(..) => Err(Error::internal("the receipt of a final object has another kind")),
        State::Gone(reason) => Ok(Found::Gone(reason.clone())),
        State::Free | State::Sealed => Ok(Found::Nothing),
    }
}

pub(crate) async fn look(inner: &Inner, scope: &Scope, file: &FileId) -> Result<Found> {
    found(inner.slots.get(&inner.keys.receipt(scope, file)).await?)
}

/// Reads a slot from the store; caches the slot of a part.
pub(crate) async fn read_part_slot(inner: &Inner, object: &ObjectKey) -> Result<Option<Slot>> {
    let slot = inner.slots.get(object).await?;
    if let Some(slot) = &slot
        && matches!(slot.state, State::Live(SlotContent::Part(_), _))
    {
        inner.cache.put(object, slot);
    }
    Ok(slot)
}
