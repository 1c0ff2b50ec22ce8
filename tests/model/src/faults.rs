//! When a host dies, and how its steps are spread in time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Asked by a host before and after each thing that it changes.
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
    /// The step at which something happens, and what.
    plan: Option<(u64, Event)>,
    is_held: bool,
    jitter: Option<Jitter>,
    /// How often each step was taken.
    names: BTreeMap<&'static str, u64>,
    /// The step at which it happened.
    happened_at: Option<&'static str>,
}

/// What happens at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Dies,
    Held,
}

/// Steps that are held up, so that others overtake them: any of them a little, those of some names more.
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
    /// A host to which nothing happens until that is planned.
    pub fn none() -> Self {
        Self::default()
    }

    pub(crate) fn random(dies_at: Option<u64>, mut rng: fastrand::Rng) -> Self {
        // Beyond the remainders of the sums: none of them.
        let slow = rng.u64(..10);
        let plan = dies_at.map(|step| (step, Event::Dies));
        let state = State { plan, jitter: Some(Jitter { rng, slow }), ..State::default() };
        Faults { state: Mutex::new(state), ..Faults::default() }
    }

    /// Lets the host die when it has taken so many more steps.
    pub(crate) fn die_after(&self, steps: u64) {
        let mut state = self.lock();
        state.plan = Some((state.taken + steps, Event::Dies));
    }

    /// Holds up whoever takes the step after so many more, until [`Faults::release`].
    pub(crate) fn hold_after(&self, steps: u64) {
        let mut state = self.lock();
        state.plan = Some((state.taken + steps, Event::Held));
        state.is_held = true;
    }

    /// Resolves when somebody is held up.
    pub(crate) async fn held(&self) {
        loop {
            let reached = self.reached.notified();
            if self.lock().happened_at.is_some() {
                return;
            }
            reached.await;
        }
    }

    /// Holds up nobody any more.
    pub(crate) fn release(&self) {
        self.lock().is_held = false;
        self.released.notify_all();
    }

    /// Whether the host is dead at this step and from there on. May block.
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
                // The step may be taken on a thread that others need.
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
        // Not a wait for anything: it lets others overtake.
        if let Some(micros) = held_up {
            std::thread::sleep(Duration::from_micros(micros));
        }
        self.is_dead()
    }

    /// Whether the host has died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The step at which the host died or somebody was held up.
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
