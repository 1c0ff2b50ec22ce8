//! A quota: what a user may hold, and what it holds.
//!
//! Invariant: stored and reserved together never exceed the quota by an operation that the quota admitted.

use super::locks::Locks;
use crate::{Backend, Error, Result, Scope, SessionId, TempKey, limits};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number of bytes and of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Content of final objects and of parts, and values of records, in bytes.
    pub bytes: u64,
    /// Final objects, parts and records.
    pub objects: u64,
}

impl Usage {
    /// No limit.
    pub const UNLIMITED: Usage = Usage { bytes: u64::MAX, objects: u64::MAX };

    /// Counts what a scope holds now, without the scopes below it. Reads the receipt of each object and part, and each
    /// record, so it takes as long as that.
    ///
    /// # Errors
    /// Those of the listings and reads.
    pub async fn of(backend: &dyn Backend, scope: &Scope) -> Result<Usage> {
        let max = limits::PAGE_MAX;
        let mut usage = Usage::default();
        let mut after = None;
        loop {
            let page = backend.list_finals(scope, after.as_ref(), max).await?;
            let receipts = backend.stat_finals(scope, &page.entries).await?;
            receipts.into_iter().flatten().for_each(|receipt| usage.add(receipt.size));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = backend.list_sessions(scope, after.as_ref(), max).await?;
            for session in &page.entries {
                usage = usage + Usage::of_session(backend, scope, session, |_| true).await?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = backend.list_records(scope, "", after.as_ref(), max).await?;
            for name in &page.entries {
                match backend.get_record(scope, name).await {
                    Ok(record) => usage.add(record.value.len() as u64),
                    Err(Error::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(usage);
            }
        }
    }

    /// Counts some parts of a session.
    pub(super) async fn of_session(
        backend: &dyn Backend,
        scope: &Scope,
        session: &SessionId,
        wanted: impl Fn(&TempKey) -> bool,
    ) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut after = None;
        loop {
            let page = backend.list_parts(scope, session, after.as_ref(), limits::PAGE_MAX).await?;
            page.entries.iter().filter(|part| wanted(&part.key)).for_each(|part| usage.add(part.size));
            after = page.next;
            if after.is_none() {
                return Ok(usage);
            }
        }
    }

    /// Counts one more object.
    fn add(&mut self, bytes: u64) {
        *self = *self + Usage { bytes, objects: 1 };
    }

    fn minus(self, other: Usage) -> Usage {
        Usage { bytes: self.bytes.saturating_sub(other.bytes), objects: self.objects.saturating_sub(other.objects) }
    }

    fn fits(self, max: Usage) -> bool {
        self.bytes <= max.bytes && self.objects <= max.objects
    }
}

impl std::ops::Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage { bytes: self.bytes.saturating_add(other.bytes), objects: self.objects.saturating_add(other.objects) }
    }
}

/// A quota of bytes and objects, shared by all that are clones of it.
///
/// One quota belongs to one user, in however many scopes, guests and guards. It counts what passes the guards that have
/// it. The content of a running put is reserved: from the beginning if its size is known, and as it arrives if not. So
/// puts that run at the same time do not exceed the quota together. An assembly needs no room: its parts become the
/// object.
///
/// The quota is memory of this process, and begins at zero. [`Usage::of`] counts what a scope holds, for
/// [`Quota::set_used`] at the start. Three things make the number differ from the store: other processes on the same
/// store; a put whose result the backend lost (`unavailable`), which is not counted although it may exist; and a part
/// that is stored while its session is being deleted, which stays counted. [`Quota::set_used`] corrects all three at any
/// time. Names that were voided or deleted are not counted.
#[derive(Clone)]
pub struct Quota(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    locks: Locks,
}

struct State {
    max: Usage,
    /// All that was ever stored. Apart from `removed`, because a part may be removed before its put has counted it.
    added: Usage,
    removed: Usage,
    reserved: Usage,
}

impl State {
    fn stored(&self) -> Usage {
        self.added.minus(self.removed)
    }
}

impl Quota {
    /// Creates a quota of which nothing is used.
    pub fn new(max: Usage) -> Self {
        let nothing = Usage::default();
        let state = State { max, added: nothing, removed: nothing, reserved: nothing };
        Quota(Arc::new(Shared { state: Mutex::new(state), locks: Locks::default() }))
    }

    /// Returns the most that may be stored.
    pub fn max(&self) -> Usage {
        self.state().max
    }

    /// Sets the most that may be stored. What is stored beyond it stays.
    pub fn set_max(&self, max: Usage) {
        self.state().max = max;
    }

    /// Returns what is stored. The content of running puts is not part of it.
    pub fn used(&self) -> Usage {
        self.state().stored()
    }

    /// Sets what is stored, for instance to [`Usage::of`] of each of the user's scopes in sum.
    pub fn set_used(&self, used: Usage) {
        let mut state = self.state();
        (state.added, state.removed) = (used, Usage::default());
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Reserves room.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub(super) fn reserve(&self, amount: Usage) -> Result<Reservation> {
        let mut reservation = Reservation { quota: self.clone(), held: Usage::default() };
        reservation.grow(amount)?;
        Ok(reservation)
    }

    /// Counts a change of what is stored.
    pub(super) fn moved(&self, added: Usage, removed: Usage) {
        let mut state = self.state();
        state.added = state.added + added;
        state.removed = state.removed + removed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let mut shown = f.debug_struct("Quota");
        shown.field("max", &state.max).field("stored", &state.stored()).field("reserved", &state.reserved).finish()
    }
}

/// Room that is kept for what is on its way. Dropping it releases the room.
pub(super) struct Reservation {
    quota: Quota,
    held: Usage,
}

impl Reservation {
    /// Reserves more.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; the reservation is unchanged then.
    pub(super) fn grow(&mut self, amount: Usage) -> Result<()> {
        let mut state = self.quota.state();
        if !(state.stored() + state.reserved + amount).fits(state.max) {
            return Err(Error::NoSpace);
        }
        state.reserved = state.reserved + amount;
        drop(state);
        self.held = self.held + amount;
        Ok(())
    }

    /// Turns the reservation into what was stored.
    pub(super) fn store(mut self, stored: Usage) {
        let held = std::mem::take(&mut self.held);
        let mut state = self.quota.state();
        state.added = state.added + stored;
        state.reserved = state.reserved.minus(held);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        state.reserved = state.reserved.minus(self.held);
    }
}
