//! The shared state of a case's instances: meetings, kills, sources, and claims about the store.

use crate::bindings::portico::conformance::fixture::{Outcome, Piece};
use std::collections::HashMap;
use tokio::sync::watch;

/// The board of one case, shared by all its instances.
pub(crate) struct Board {
    state: watch::Sender<BoardState>,
    instances: u32,
}

#[derive(Default)]
pub(crate) struct BoardState {
    sources: HashMap<u32, SeedSources>,
    /// Number of instances that have arrived at each meeting.
    meetings: Vec<u32>,
    killed: Vec<u32>,
    over: Vec<u32>,
    pub(crate) outcomes: HashMap<u32, Outcome>,
    pub(crate) words: Vec<String>,
    pub(crate) claims: Claims,
}

/// The sources that share a seed.
#[derive(Default)]
struct SeedSources {
    alive: u32,
    ended: bool,
}

/// The objects and parts that must remain in the store.
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

    /// Changes the state, and wakes the waiting instances.
    pub(crate) fn change(&self, change: impl FnOnce(&mut BoardState)) {
        self.state.send_modify(change);
    }

    /// Reads the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&BoardState) -> T) -> T {
        look(&self.state.borrow())
    }

    async fn wait(&self, until: impl FnMut(&BoardState) -> bool) {
        // `wait_for` fails only after the sender is dropped, and `self` holds the sender.
        let _ = self.state.subscribe().wait_for(until).await;
    }

    /// Arrives at meeting `round`, and waits for all other instances.
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

    /// Notes that an instance has ended, and is dropped.
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
