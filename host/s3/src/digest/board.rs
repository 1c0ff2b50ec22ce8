//! Hash states that uploads in flight publish for the uploads of the following parts.
//!
//! They are available before the part is committed, while the following part is still in memory. A state may come from
//! content that never becomes a part; a chain made from it then fits nowhere. The board keeps the latest [`crate::limits::BOARD_STATES_MAX`]
//! states of a session while a put of the session runs.

use crate::limits;
use portico_store::watched::Watched;
use portico_store::{Scope, SessionId, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Session = (Scope, SessionId);

/// The states of all sessions with running puts.
#[derive(Default)]
pub(crate) struct DigestBoard(Watched<HashMap<Session, States>>);

#[derive(Default)]
struct States {
    /// Number of running puts.
    seats: usize,
    /// The hash state of all content before an offset.
    at: BTreeMap<u64, Sha256>,
}

impl DigestBoard {
    /// Gives a put access to the states of its session.
    pub(crate) fn seat(self: &Arc<Self>, scope: &Scope, session: &SessionId) -> Seat {
        let session = (scope.clone(), session.clone());
        self.0.lock().entry(session.clone()).or_default().seats += 1;
        Seat { board: self.clone(), session }
    }
}

/// The access of a running put. Dropping the last one of a session drops its states.
pub(crate) struct Seat {
    board: Arc<DigestBoard>,
    session: Session,
}

impl Seat {
    /// Publishes the state of all content before an offset.
    pub(crate) fn put(&self, offset: u64, sha256: &Sha256) {
        if let Some(states) = self.board.0.lock().get_mut(&self.session) {
            states.at.insert(offset, sha256.clone());
            if states.at.len() > limits::BOARD_STATES_MAX {
                // Later puts continue from the end of the content.
                states.at.pop_first();
            }
        }
        self.board.0.notify();
    }

    /// Returns the state of all content before an offset, if known.
    pub(crate) fn get(&self, offset: u64) -> Option<Sha256> {
        self.known(&self.board.0.lock(), offset)
    }

    /// Waits for the state of all content before an offset.
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
    async fn waiters_are_notified_and_the_last_seat_drops_the_states() {
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
        assert_eq!(board.0.lock().values().next().unwrap().at.len(), limits::BOARD_STATES_MAX);
        assert!(seat.get(999).is_some() && seat.get(999 - limits::BOARD_STATES_MAX as u64).is_none());
    }
}
