//! A cache of slots that this process has seen.
//!
//! A cached slot may be out of date. It is used where the entity tag of a listing confirms it, and where an outdated
//! slot does no harm.

use crate::keys::ObjectKey;
use crate::limits;
use crate::slots::slot::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<ObjectKey, Slot>>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, object: &ObjectKey, slot: &Slot) {
        let mut slots = self.lock();
        if slots.len() >= limits::CACHED_SLOTS_MAX {
            // Drops half of the slots, no matter which: a missing slot is read again.
            let mut keep = false;
            slots.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        slots.insert(object.clone(), slot.clone());
    }

    /// Returns a slot as this process last saw it.
    pub(crate) fn get(&self, object: &ObjectKey) -> Option<Slot> {
        self.lock().get(object).cloned()
    }

    pub(crate) fn forget(&self, object: &ObjectKey) {
        self.lock().remove(object);
    }
}
