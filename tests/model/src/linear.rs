//! Whether a history of one name has an order that explains it.
//!
//! The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was seen
//! before ("Testing for linearizability", 2017). A history here is that of one name over a short time, so it is small.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What is true of one name.
pub(crate) trait State: Clone + Eq + Hash + Debug {
    /// What is done to it, or seen of it, with its outcome.
    type Act: Debug;

    /// Whether an act is only seen, and changes nothing in any state.
    fn only_seen(act: &Self::Act) -> bool;

    /// The state after an act; `None` if the act can't have that outcome here.
    fn after(&self, act: &Self::Act) -> Option<Self>;
}

/// An act between its call and its answer.
#[derive(Debug)]
pub(crate) struct Event<A> {
    /// When it was called.
    pub(crate) call: u64,
    /// When it had answered, or when it can't happen any more.
    pub(crate) end: u64,
    /// Whether it did happen; else it may or may not have.
    pub(crate) happened: bool,
    /// What was done.
    pub(crate) act: A,
}

/// Whether there is an order of events, beginning with a state, that explains all of them.
pub(crate) fn explains<S: State>(start: &S, events: &[Event<S::Act>]) -> bool {
    let mut search = Search { events, seen: HashSet::new() };
    search.go(start.clone(), vec![false; events.len()], 0)
}

struct Search<'a, S: State> {
    events: &'a [Event<S::Act>],
    seen: HashSet<(Vec<bool>, S)>,
}

impl<S: State> Search<'_, S> {
    /// `now` is the latest call among what has been placed in the order.
    fn go(&mut self, state: S, mut placed: Vec<bool>, mut now: u64) -> bool {
        // What is only seen can be placed as early as it can be; no order is lost by it.
        loop {
            let mut moved = false;
            for at in self.next(&placed, now) {
                let event = &self.events[at];
                if event.happened
                    && S::only_seen(&event.act)
                    && let Some(after) = state.after(&event.act)
                    && after == state
                {
                    placed[at] = true;
                    now = now.max(event.call);
                    moved = true;
                    break;
                }
            }
            if !moved {
                break;
            }
        }
        if self.events.iter().zip(&placed).all(|(event, placed)| *placed || !event.happened) {
            return true;
        }
        if !self.seen.insert((placed.clone(), state.clone())) {
            return false;
        }
        for at in self.next(&placed, now) {
            let event = &self.events[at];
            if let Some(after) = state.after(&event.act) {
                let mut then = placed.clone();
                then[at] = true;
                if self.go(after, then, now.max(event.call)) {
                    return true;
                }
            }
        }
        false
    }

    /// What may come next: called before everything that is left and did happen has answered, and not over yet.
    fn next(&self, placed: &[bool], now: u64) -> Vec<usize> {
        let left = |at: &usize| !placed[*at];
        let first_end = (0..self.events.len())
            .filter(left)
            .filter(|at| self.events[*at].happened)
            .map(|at| self.events[at].end)
            .min()
            .unwrap_or(u64::MAX);
        (0..self.events.len())
            .filter(left)
            .filter(|at| self.events[*at].call <= first_end && self.events[*at].end >= now)
            .collect()
    }
}
