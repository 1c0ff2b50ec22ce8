//! Slots that this process has seen lately, so that it need not read them again.
//!
//! A slot from here may be out of date. It is used where an entity tag from a listing says that it is not, and where
//! something out of date does no harm.

use crate::keys::Place;
use crate::slots::slot::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most slots that are remembered, of about 500 bytes each.
const SLOTS_MAX: usize = 16_384;

#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Place, Slot>>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, place: &Place, slot: &Slot) {
        let mut slots = self.lock();
        if slots.len() >= SLOTS_MAX {
            // Half of them, whichever: what is missed is read again.
            let mut keep = false;
            slots.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        slots.insert(place.clone(), slot.clone());
    }

    /// A slot as it was seen last.
    pub(crate) fn get(&self, place: &Place) -> Option<Slot> {
        self.lock().get(place).cloned()
    }

    pub(crate) fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }
}
