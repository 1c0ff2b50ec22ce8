//! What the instances of one case share: who has come how far, and what they said that stays in the store.

use crate::bindings::portico::conformance::fixture::{Outcome, Piece};
use std::collections::HashMap;
use tokio::sync::watch;

/// The board of a case. All instances have the same one.
pub(crate) struct Board {
    state: watch::Sender<State>,
    instances: u32,
}

#[derive(Default)]
pub(crate) struct State {
    sources: HashMap<u32, Sources>,
    /// How many instances have come to each meeting.
    meetings: Vec<u32>,
    killed: Vec<u32>,
    over: Vec<u32>,
    pub(crate) outcomes: HashMap<u32, Outcome>,
    pub(crate) words: Vec<String>,
    pub(crate) claims: Claims,
}

/// The sources of one seed.
#[derive(Default)]
struct Sources {
    alive: u32,
    ended: bool,
}

/// What stays in the store.
#[derive(Clone, Default)]
pub(crate) struct Claims {
    pub(crate) objects: Vec<ObjectClaim>,
    pub(crate) parts: Vec<PartClaim>,
}

#[derive(Clone)]
pub(crate) struct ObjectClaim {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) content: Vec<Piece>,
}

#[derive(Clone)]
pub(crate) struct PartClaim {
    pub(crate) scope: Vec<String>,
    pub(crate) temp_key: String,
    pub(crate) content: Vec<Piece>,
}

impl Board {
    pub(crate) fn new(instances: u32) -> Self {
        Board { state: watch::Sender::default(), instances }
    }

    /// Changes the state, and wakes whoever waits for it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        // It fails only without a sender, and this has one.
        let _ = self.state.subscribe().wait_for(until).await;
    }

    /// Waits until so many rounds of `meet` are complete.
    pub(crate) async fn meet(&self, round: usize) {
        self.change(|state| {
            state.meetings.resize(state.meetings.len().max(round + 1), 0);
            state.meetings[round] += 1;
        });
        self.wait(|state| state.meetings[round] >= self.instances).await;
    }

    pub(crate) async fn kill(&self, instance: u32) {
        self.change(|state| state.killed.push(instance));
        self.wait(|state| state.over.contains(&instance)).await;
    }

    pub(crate) async fn killed(&self, instance: u32) {
        self.wait(|state| state.killed.contains(&instance)).await;
    }

    /// Notes that nothing of an instance is left.
    pub(crate) fn over(&self, instance: u32) {
        self.change(|state| state.over.push(instance));
    }

    pub(crate) fn source_made(&self, seed: u32) {
        self.change(|state| state.sources.entry(seed).or_default().alive += 1);
    }

    pub(crate) fn source_ended(&self, seed: u32) {
        self.change(|state| state.sources.entry(seed).or_default().ended = true);
    }

    pub(crate) fn source_dropped(&self, seed: u32) {
        self.change(|state| state.sources.entry(seed).or_default().alive -= 1);
    }

    pub(crate) async fn await_end(&self, seed: u32) {
        self.wait(|state| state.sources.get(&seed).is_some_and(|sources| sources.ended)).await;
    }

    pub(crate) async fn await_drop(&self, seed: u32) {
        self.wait(|state| state.sources.get(&seed).is_some_and(|sources| sources.alive == 0)).await;
    }
}
