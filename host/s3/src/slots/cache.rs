//! A cache of slots that this process has seen.
//!
//! A cached slot may be out of date. It is used where the entity tag of a listing confirms it, and where an outdated
//! slot does no harm.

use crate::keys::Place;
use crate::limits;
use crate::slots::slot::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Place, Slot>>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, place: &Place, slot: &Slot) {
        let mut slots = self.lock();
        if slots.len() >= limits::CACHED_SLOTS_MAX {
            // Drops half of the slots, no matter which: a missing slot is read again.
            let mut keep = false;
            slots.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        slots.insert(place.clone(), slot.clone());
    }

    /// Returns a slot as this process last saw it.
    pub(crate) fn get(&self, place: &Place) -> Option<Slot> {
        self.lock().get(place).cloned()
    }

    pub(crate) fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }
}
