//! What running puts have found of the digest of a whole, for those of the parts behind theirs: before they are committed,
//! and while those are still in memory.
//!
//! A state from here may be of content that never comes to be a part. A chain that was made from it fits nowhere then. Kept
//! are the latest [`STATES_MAX`] of a session, for as long as a put of it runs.

use portico_store::watched::Watched;
use portico_store::{Scope, SessionId, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most states of one session, of about 150 bytes each.
const STATES_MAX: usize = 64;

type Session = (Scope, SessionId);

/// The states of all sessions with running puts.
#[derive(Default)]
pub(crate) struct DigestBoard(Watched<HashMap<Session, States>>);

#[derive(Default)]
struct States {
    /// Who looks at them.
    seats: usize,
    /// The digest of everything before an offset.
    at: BTreeMap<u64, Sha256>,
}

impl DigestBoard {
    /// Lets a put of a session look at its states, and add to them.
    pub(crate) fn seat(self: &Arc<Self>, scope: &Scope, session: &SessionId) -> Seat {
        let session = (scope.clone(), session.clone());
        self.0.lock().entry(session.clone()).or_default().seats += 1;
        Seat { board: self.clone(), session }
    }
}

/// A put that runs.
pub(crate) struct Seat {
    board: Arc<DigestBoard>,
    session: Session,
}

impl Seat {
    /// Adds what is before an offset.
    pub(crate) fn put(&self, offset: u64, sha256: &Sha256) {
        if let Some(states) = self.board.0.lock().get_mut(&self.session) {
            states.at.insert(offset, sha256.clone());
            if states.at.len() > STATES_MAX {
                // Whoever comes next goes on from the end.
                states.at.pop_first();
            }
        }
        self.board.0.notify();
    }

    /// What is before an offset, if somebody knows it.
    pub(crate) fn get(&self, offset: u64) -> Option<Sha256> {
        self.known(&self.board.0.lock(), offset)
    }

    /// What is before an offset, when somebody knows it.
    pub(crate) async fn wait(&self, offset: u64) -> Sha256 {
        self.board.0.until(|sessions| self.known(sessions, offset)).await
    }

    fn known(&self, sessions: &HashMap<Session, States>, offset: u64) -> Option<Sha256> {
        sessions.get(&self.session)?.at.get(&offset).cloned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sessions = self.board.0.lock();
        if let Some(states) = sessions.get_mut(&self.session) {
            states.seats -= 1;
            if states.seats == 0 {
                sessions.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(text: &str) -> Sha256 {
        let mut sha256 = Sha256::new();
        sha256.update(text.as_bytes());
        sha256
    }

    #[tokio::test]
    async fn who_waits_is_told_and_nothing_is_kept_when_nobody_looks() {
        let board = Arc::new(DigestBoard::default());
        let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
        let first = board.seat(&scope, &session);
        let waiting = tokio::spawn({
            let second = board.seat(&scope, &session);
            async move { second.wait(7).await.finish() }
        });
        let other = board.seat(&scope, &SessionId::parse("other").unwrap());
        other.put(7, &hashed("other"));
        first.put(6, &hashed("six"));
        first.put(7, &hashed("seven"));
        assert_eq!(waiting.await.unwrap(), hashed("seven").finish());
        assert_eq!(first.get(6).unwrap().finish(), hashed("six").finish());
        assert!(first.get(8).is_none());
        drop((first, other));
        assert!(board.0.lock().is_empty());
    }

    #[test]
    fn the_latest_states_of_a_session_are_kept() {
        let board = Arc::new(DigestBoard::default());
        let seat = board.seat(&Scope::root(), &SessionId::parse("session").unwrap());
        for offset in 0..1_000 {
            seat.put(offset, &hashed("x"));
        }
        assert_eq!(board.0.lock().values().next().unwrap().at.len(), STATES_MAX);
        assert!(seat.get(999).is_some() && seat.get(999 - STATES_MAX as u64).is_none());
    }
}
