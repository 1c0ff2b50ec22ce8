//! What the portal does without a client: sessions whose time is over are ended, what is left of ended ones is deleted, and
//! what ended long ago is forgotten.
//!
//! A round has three phases, each a walk through a listing; a step goes on where the one before it stopped. Invariant: a
//! session is ended by a tombstone at its file id before anything of it goes, so a finalize that runs meanwhile either has
//! won, and the session is left to it, or comes too late.

use crate::{
    clock,
    engine::{Engine, Refusal, SESSIONS},
    session::{EXPIRED, tombstones_before},
};
use portico_guest::{
    Error,
    bindings::exports::portico::storage::maintenance::{Guest, Progress},
    bindings::portico::storage::storage as wit,
};
use std::time::Duration;

/// Entries of a listing that are looked at between two looks at the clock.
const PAGE: u32 = 50;

/// The walks of a round, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Through the sessions that have parts.
    Parts,
    /// Through the records of sessions.
    Records,
    /// Through the tombstones.
    Tombstones,
}

/// Where a round stands: a phase, and a cursor of its listing.
type Position = (Phase, Option<String>);

impl Guest for crate::Portal {
    fn run(budget_ms: u32, after: Option<String>) -> Result<Progress, wit::Error> {
        let position = after.as_deref().map_or(Some((Phase::Parts, None)), read);
        let position = position.ok_or(wit::Error::InvalidArgument(wit::Argument::Cursor))?;
        let mut round = Round { engine: Engine::open(), now_ms: clock::now_ms(), progress: nothing() };
        round.run(Duration::from_millis(budget_ms.into()), position).map_err(failure)?;
        Ok(round.progress)
    }
}

fn nothing() -> Progress {
    Progress { expired: 0, cleared: 0, purged: 0, next: None }
}

fn read(text: &str) -> Option<Position> {
    let (phase, cursor) = text.split_once(':')?;
    let phase = match phase {
        "parts" => Phase::Parts,
        "records" => Phase::Records,
        "tombstones" => Phase::Tombstones,
        _ => return None,
    };
    Some((phase, Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty())))
}

fn write((phase, cursor): &Position) -> String {
    let phase = match phase {
        Phase::Parts => "parts",
        Phase::Records => "records",
        Phase::Tombstones => "tombstones",
    };
    format!("{phase}:{}", cursor.as_deref().unwrap_or_default())
}

/// What follows a page of a phase.
fn following((phase, _): Position, cursor: Option<String>) -> Option<Position> {
    match (phase, cursor) {
        (phase, Some(cursor)) => Some((phase, Some(cursor))),
        (Phase::Parts, None) => Some((Phase::Records, None)),
        (Phase::Records, None) => Some((Phase::Tombstones, None)),
        (Phase::Tombstones, None) => None,
    }
}

fn failure(error: Error) -> wit::Error {
    match error {
        Error::NoSpace => wit::Error::NoSpace,
        Error::Denied => wit::Error::Denied,
        Error::Internal { id } => wit::Error::Internal(id),
        Error::InvalidArgument(argument) => wit::Error::InvalidArgument(argument),
        _ => wit::Error::Unavailable(None),
    }
}

struct Round {
    engine: Engine,
    now_ms: u64,
    progress: Progress,
}

impl Round {
    fn run(&mut self, budget: Duration, mut position: Position) -> Result<(), Error> {
        let began = clock::monotonic();
        loop {
            let (phase, cursor) = &position;
            let cursor = cursor.as_deref();
            let cursor = match phase {
                Phase::Parts => self.parts(cursor)?,
                Phase::Records => self.records(cursor)?,
                Phase::Tombstones => self.tombstones(cursor)?,
            };
            let Some(next) = following(position, cursor) else { return Ok(()) };
            if clock::monotonic() - began >= budget {
                self.progress.next = Some(write(&next));
                return Ok(());
            }
            position = next;
        }
    }

    fn parts(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let page = self.engine.store.list_temp_sessions(after, PAGE)?;
        for id in page.items {
            if self.has_ended(&id)? {
                self.engine.store.delete_session_parts(&id)?;
                self.progress.cleared += 1;
            }
        }
        Ok(page.next)
    }

    /// Whether a session has ended, for its age by this call if it must be. What nobody knows has ended too: a session's
    /// record is there before its id is told to anybody, and goes last.
    fn has_ended(&mut self, id: &str) -> Result<bool, Error> {
        let found = match self.engine.find(id) {
            Ok(found) => found,
            Err(Refusal::Unknown) => return Ok(true),
            Err(Refusal::Unreadable) => return Ok(false),
            Err(refusal) => return Err(of(refusal)),
        };
        if self.engine.standing(&found.session).map_err(of)?.end.is_some() {
            return Ok(true);
        }
        if !found.session.may_be_expired(self.now_ms) {
            return Ok(false);
        }
        if self.engine.store.void_final(&found.session.file_id, EXPIRED)? {
            self.progress.expired += 1;
        }
        Ok(true)
    }

    fn records(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let page = self.engine.store.list_records(SESSIONS, after, PAGE)?;
        for name in page.items {
            let id = name.strip_prefix(SESSIONS).unwrap_or_default();
            let found = match self.engine.find(id) {
                Ok(found) => found,
                // Another host was faster, or it is of a later version.
                Err(Refusal::Unknown | Refusal::Unreadable) => continue,
                Err(refusal) => return Err(of(refusal)),
            };
            if !found.session.may_be_expired(self.now_ms) {
                continue;
            }
            let has_ended = self.has_ended(id)?;
            if has_ended && found.session.may_be_forgotten(self.now_ms, self.engine.settings.tombstone_ttl) {
                self.engine.store.delete_session_parts(id)?;
                if let Some(key) = &found.session.idempotency {
                    self.engine.store.delete_record(key, None)?;
                }
                if self.engine.store.delete_record(&name, None)? {
                    self.progress.purged += 1;
                }
            }
        }
        Ok(page.next)
    }

    fn tombstones(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let settings = &self.engine.settings;
        let before = tombstones_before(self.now_ms, settings.session_ttl, settings.tombstone_ttl);
        let (purged, next) = self.engine.store.purge_gone(before, after)?;
        self.progress.purged += purged;
        Ok(next)
    }
}

/// The store's part in a refusal; the engine's own do not come to the maintenance.
fn of(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Store(error) => error,
        _ => Error::Unavailable { retry_after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, following, read, write};

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for phase in [Phase::Parts, Phase::Records, Phase::Tombstones] {
            for cursor in [None, Some("cursor:with/signs".to_owned())] {
                let position = (phase, cursor);
                assert_eq!(read(&write(&position)), Some(position));
            }
        }
        for text in ["", "parts", "other:", ":"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_round_goes_through_all_phases_and_ends() {
        let mut position = Some((Phase::Parts, None));
        let mut seen = Vec::new();
        while let Some(here) = position {
            seen.push(here.0);
            position = following(here, None);
        }
        assert_eq!(seen, [Phase::Parts, Phase::Records, Phase::Tombstones]);
        let more = following((Phase::Records, None), Some("c".to_owned()));
        assert_eq!(more, Some((Phase::Records, Some("c".to_owned()))));
    }
}
