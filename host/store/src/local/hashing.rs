//! SHA-256 beside the writing, and how it goes on from part to part.
//!
//! What is written of a part is hashed by a lane. The part is acknowledged when it is there, whether or not the lane has come
//! to its end; until then it is *pending*. The part behind it goes on with that lane. So no client waits for hashing, and
//! hashing does not stand still while a client waits for an answer.
//!
//! Invariants: a part is pending from before its row is made until its chain is in the index, or is known never to be; a lane
//! that was handed the end of a part comes there, whatever becomes of the put that goes on with it; what is pending nobody else
//! hashes.

use crate::lane::{Batch, Hashes, Lane, Work};
use crate::watched::Watched;
use crate::{Chain, Digest, Result, Scope, SessionId, Sha256, TempKey, Token, limits};
use std::collections::HashMap;
use std::sync::Arc;

/// The digests of a content, as the state of a lane.
pub(super) struct Digests {
    hashes: Hashes,
    /// What the whole was hashed on from.
    before: Option<Sha256>,
}

/// What a lane is handed.
pub(super) enum Step {
    /// Another part begins, behind the one that was handed over last; whether its own digest is asked for.
    Begin { sha256: bool },
    /// More content.
    Take(Arc<Batch>),
    /// All of a part has been handed over.
    End(Box<dyn FnOnce(&Digests) + Send>),
}

impl Digests {
    /// A lane for content, with or without a digest of its own, hashed on from what is before it or not. `None` if there is
    /// nothing to do.
    pub(super) fn lane(sha256: bool, before: Option<Sha256>) -> Option<Lane<Digests>> {
        let hashes = Hashes { sha256: sha256.then(Sha256::new), chain: before.clone(), ..Hashes::default() };
        let has_work = sha256 || before.is_some();
        has_work.then(|| Lane::new(Digests { hashes, before }, limits::HASH_QUEUE_WRITTEN))
    }

    /// SHA-256 of the content, if it was asked for.
    pub(super) fn sha256(&self) -> Option<Digest> {
        self.hashes.sha256.as_ref().map(Sha256::so_far)
    }

    /// What the content does to the digest of the whole, if it was hashed on from something.
    pub(super) fn chain(&self) -> Option<Chain> {
        Chain::made(self.before.as_ref().map(Sha256::so_far), self.hashes.chain.as_ref())
    }
}

impl Work for Digests {
    type Item = Step;

    fn take(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Begin { sha256 } => {
                self.hashes.sha256 = sha256.then(Sha256::new);
                self.before.clone_from(&self.hashes.chain);
            }
            Step::Take(batch) => self.hashes.take(batch)?,
            Step::End(ended) => ended(self),
        }
        Ok(())
    }
}

type Name = (Scope, SessionId);

/// The pending parts of a store.
#[derive(Clone, Default)]
pub(super) struct PendingParts(Arc<Watched<HashMap<Name, Vec<Entry>>>>);

struct Entry {
    token: Token,
    /// What hashes it, and where the part ends, in bytes of the whole, until a part behind it goes on from there.
    lane: Option<(u64, Lane<Digests>)>,
}

impl PendingParts {
    /// Says that a part is pending for as long as the value lives.
    pub(super) fn add(&self, scope: &Scope, key: &TempKey) -> Pending {
        let name = (scope.clone(), key.session.clone());
        self.0.lock().entry(name.clone()).or_default().push(Entry { token: key.token.clone(), lane: None });
        Pending { parts: self.clone(), name, token: key.token.clone() }
    }

    /// Whether a part is pending.
    pub(super) fn has(&self, scope: &Scope, key: &TempKey) -> bool {
        let name = (scope.clone(), key.session.clone());
        self.0.lock().get(&name).is_some_and(|entries| entries.iter().any(|entry| entry.token == key.token))
    }

    /// The lane of a pending part that ends at an offset. It is for one who asks.
    pub(super) fn lane(&self, scope: &Scope, session: &SessionId, offset: u64) -> Option<Lane<Digests>> {
        let mut parts = self.0.lock();
        let entries = parts.get_mut(&(scope.clone(), session.clone()))?;
        let ends_there = |entry: &mut Entry| entry.lane.take_if(|(ends, _)| *ends == offset);
        entries.iter_mut().find_map(ends_there).map(|(_, lane)| lane)
    }

    /// Offers the lane of a part, if it is still pending, to the one that begins where it ends, in bytes of the whole.
    pub(super) fn offer(&self, scope: &Scope, key: &TempKey, ends: u64, lane: Lane<Digests>) {
        self.set_lane(scope, key, Some((ends, lane)));
    }

    /// Says that a part was deleted: nobody goes on from it.
    pub(super) fn deleted(&self, scope: &Scope, key: &TempKey) {
        self.set_lane(scope, key, None);
    }

    /// Returns when no part of a session is pending.
    pub(super) async fn settled(&self, scope: &Scope, session: &SessionId) {
        let name = (scope.clone(), session.clone());
        self.0.until(|parts| (!parts.contains_key(&name)).then_some(())).await;
    }

    /// Returns when no part is pending.
    pub(super) async fn idle(&self) {
        self.0.until(|parts| parts.is_empty().then_some(())).await;
    }

    fn set_lane(&self, scope: &Scope, key: &TempKey, lane: Option<(u64, Lane<Digests>)>) {
        let mut parts = self.0.lock();
        let entries = parts.get_mut(&(scope.clone(), key.session.clone()));
        if let Some(entry) = entries.and_then(|entries| entries.iter_mut().find(|entry| entry.token == key.token)) {
            entry.lane = lane;
        }
    }
}

/// The time that a part is pending.
pub(super) struct Pending {
    parts: PendingParts,
    name: Name,
    token: Token,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut parts = self.parts.0.lock();
        let Some(entries) = parts.get_mut(&self.name) else { return };
        // With its lane, if nobody goes on with that. It is let go when others may have the lock.
        let entry = entries.iter().position(|entry| entry.token == self.token).map(|at| entries.swap_remove(at));
        if entries.is_empty() {
            parts.remove(&self.name);
        }
        drop(parts);
        drop(entry);
        self.parts.0.notify();
    }
}
