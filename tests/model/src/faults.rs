//! The death of a host, and the timing of its steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The observer of a host's steps, called before and after each of its changes.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    dead: AtomicBool,
    reached: Notify,
    released: Condvar,
}

#[derive(Default)]
struct State {
    taken: u64,
    /// The planned step, and its event.
    plan: Option<(u64, Event)>,
    is_held: bool,
    jitter: Option<Jitter>,
    /// How often each step was taken.
    names: BTreeMap<&'static str, u64>,
    /// The step at which the event happened.
    happened_at: Option<&'static str>,
}

/// An event at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Dies,
    Held,
}

/// Steps that are delayed, so that others overtake them: any of them a little, those of some names more.
struct Jitter {
    rng: fastrand::Rng,
    slow: u64,
}

impl Jitter {
    fn micros(&mut self, name: &str) -> Option<u64> {
        let sum: u64 = name.bytes().map(u64::from).sum();
        let slow = sum % 7 == self.slow && self.rng.bool();
        match self.rng.u8(..) {
            _ if slow => Some(self.rng.u64(500..6_000)),
            0..4 => Some(self.rng.u64(1_000..4_000)),
            4..24 => Some(self.rng.u64(1..400)),
            _ => None,
        }
    }
}

impl Faults {
    /// A host without any event until one is planned.
    pub fn none() -> Self {
        Self::default()
    }

    pub(crate) fn random(dies_at: Option<u64>, mut rng: fastrand::Rng) -> Self {
        // Beyond the remainders of the sums: no name is slow.
        let slow = rng.u64(..10);
        let plan = dies_at.map(|step| (step, Event::Dies));
        let state = State { plan, jitter: Some(Jitter { rng, slow }), ..State::default() };
        Faults { state: Mutex::new(state), ..Faults::default() }
    }

    /// Plans the host's death after this many more steps.
    pub(crate) fn die_after(&self, steps: u64) {
        let mut state = self.lock();
        state.plan = Some((state.taken + steps, Event::Dies));
    }

    /// Blocks the caller of the step after this many more, until [`Faults::release`].
    pub(crate) fn hold_after(&self, steps: u64) {
        let mut state = self.lock();
        state.plan = Some((state.taken + steps, Event::Held));
        state.is_held = true;
    }

    /// Resolves when a caller is blocked.
    pub(crate) async fn held(&self) {
        loop {
            let reached = self.reached.notified();
            if self.lock().happened_at.is_some() {
                return;
            }
            reached.await;
        }
    }

    /// Unblocks all callers.
    pub(crate) fn release(&self) {
        self.lock().is_held = false;
        self.released.notify_all();
    }

    /// Takes a step; true if the host is dead from here on. May block.
    pub fn step(&self, name: &'static str) -> bool {
        let mut state = self.lock();
        if self.is_dead() {
            return true;
        }
        let at = state.taken;
        state.taken += 1;
        *state.names.entry(name).or_default() += 1;
        match state.plan {
            Some((planned, Event::Dies)) if planned == at => {
                self.dead.store(true, Ordering::SeqCst);
                state.happened_at = Some(name);
                return true;
            }
            Some((planned, Event::Held)) if planned == at => {
                state.happened_at = Some(name);
                drop(state);
                self.reached.notify_waiters();
                // Other tasks may need this thread.
                tokio::task::block_in_place(|| {
                    let held = self.released.wait_while(self.lock(), |state| state.is_held);
                    drop(held.unwrap_or_else(PoisonError::into_inner));
                });
                return self.is_dead();
            }
            _ => {}
        }
        let held_up = state.jitter.as_mut().and_then(|jitter| jitter.micros(name));
        drop(state);
        // A delay that waits for nothing: it lets other steps overtake.
        if let Some(micros) = held_up {
            std::thread::sleep(Duration::from_micros(micros));
        }
        self.is_dead()
    }

    /// Whether the host has died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The step at which the host died or a caller was blocked.
    pub(crate) fn happened_at(&self) -> Option<&'static str> {
        self.lock().happened_at
    }

    /// The names of the steps taken.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.lock().names.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
