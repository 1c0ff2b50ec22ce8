//! Checks that an order explains the history of one name.
//!
//! The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's cache of visited states
//! ("Testing for linearizability", 2017). A history here is that of one name over a short time, so it is small.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// The state of one name.
pub(crate) trait State: Clone + Eq + Hash + Debug {
    /// An operation on it or an observation of it, with the outcome.
    type Act: Debug;

    /// Whether an act is an observation, and changes no state.
    fn only_seen(act: &Self::Act) -> bool;

    /// The state after an act; `None` if the act can't have that outcome here.
    fn after(&self, act: &Self::Act) -> Option<Self>;
}

/// An act between its call and its answer.
#[derive(Debug)]
pub(crate) struct Event<A> {
    /// The time of its call.
    pub(crate) call: u64,
    /// The time of its answer, or after which it can't happen any more.
    pub(crate) end: u64,
    /// Whether it did happen; otherwise it may have.
    pub(crate) happened: bool,
    /// The act.
    pub(crate) act: A,
}

/// Whether an order of the events, beginning with a state, explains all of them.
pub(crate) fn explains<S: State>(start: &S, events: &[Event<S::Act>]) -> bool {
    let mut search = Search { events, seen: HashSet::new() };
    search.go(start.clone(), vec![false; events.len()], 0)
}

struct Search<'a, S: State> {
    events: &'a [Event<S::Act>],
    seen: HashSet<(Vec<bool>, S)>,
}

impl<S: State> Search<'_, S> {
    /// `now` is the latest call among the placed events.
    fn go(&mut self, state: S, mut placed: Vec<bool>, mut now: u64) -> bool {
        // An observation can be placed as early as possible; no order is lost by it.
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

    /// The events that may come next: called before every remaining event that did happen has returned, and not over
    /// yet.
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
