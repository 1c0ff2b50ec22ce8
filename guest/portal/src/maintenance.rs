//! Background maintenance: ends expired sessions, deletes the parts of ended ones, and forgets old records and
//! tombstones.
//!
//! A round has four phases, each a walk through a listing. A step continues where the previous one stopped.
//!
//! Invariants: a tombstone at its file id ends a session before any of its content is deleted, so a concurrent finalize
//! either has won, and keeps the session, or fails. Parts of a session without a record are deleted only after two
//! rounds, at least [`ORPHAN_GRACE`](crate::session::ORPHAN_GRACE) apart, have missed the record. The first round
//! writes a note as a record, so that any host can run the second.

use crate::{
    clock,
    engine::{Engine, Found, ORPHANS, SESSIONS},
    refusal::Refusal,
    session::{EXPIRED, Orphan, OrphanAge, tombstones_before},
    settings::Settings,
};
use portico_guest::{
    Error,
    bindings::exports::portico::storage::maintenance::{Guest, Progress},
    bindings::portico::storage::storage as wit,
};
use std::time::Duration;

/// Entries of a listing between two looks at the clock.
const PAGE: u32 = 50;

/// The walks of a round, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Sessions that have parts.
    Parts,
    /// Sessions that were seen without a record.
    Orphans,
    /// Records of sessions.
    Records,
    /// Tombstones.
    Tombstones,
}

/// The position of a round: a phase and a cursor of its listing.
type Position = (Phase, Option<String>);

impl Guest for crate::Portal {
    fn run(budget_ms: u32, after: Option<String>) -> Result<Progress, wit::Error> {
        let position = after.as_deref().map_or(Some((Phase::Parts, None)), read);
        let position = position.ok_or(wit::Error::InvalidArgument(wit::Argument::Cursor))?;
        let mut round =
            Round { engine: Engine::open(), settings: Settings::load(), now_ms: clock::now_ms(), progress: nothing() };
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
        "orphans" => Phase::Orphans,
        "records" => Phase::Records,
        "tombstones" => Phase::Tombstones,
        _ => return None,
    };
    Some((phase, Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty())))
}

fn write((phase, cursor): &Position) -> String {
    let phase = match phase {
        Phase::Parts => "parts",
        Phase::Orphans => "orphans",
        Phase::Records => "records",
        Phase::Tombstones => "tombstones",
    };
    format!("{phase}:{}", cursor.as_deref().unwrap_or_default())
}

/// Returns the position after a page; `None` at the end of the round.
fn following((phase, _): Position, cursor: Option<String>) -> Option<Position> {
    match (phase, cursor) {
        (phase, Some(cursor)) => Some((phase, Some(cursor))),
        (Phase::Parts, None) => Some((Phase::Orphans, None)),
        (Phase::Orphans, None) => Some((Phase::Records, None)),
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
    settings: Settings,
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
                Phase::Orphans => self.orphans(cursor)?,
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
            match self.engine.find(&id) {
                Ok(found) => {
                    if self.has_ended(&found)? {
                        self.engine.store.delete_session_parts(&id)?;
                        self.progress.cleared += 1;
                    }
                }
                Err(Refusal::Unknown) => self.note_orphan(&id)?,
                Err(Refusal::Unreadable) => {}
                Err(refusal) => return Err(of(refusal)),
            }
        }
        Ok(page.next)
    }

    /// Notes a session that has parts and no record. Such a session has ended, because its record is created before a
    /// client learns the id, and deleted last. One look may be wrong, though, and deleted parts cannot be restored.
    fn note_orphan(&self, id: &str) -> Result<(), Error> {
        let orphan = Orphan::new(self.now_ms);
        match self.engine.store.create_record(&format!("{ORPHANS}{id}"), &orphan.write()) {
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn orphans(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let page = self.engine.store.list_records(ORPHANS, after, PAGE)?;
        for name in page.items {
            let id = name.strip_prefix(ORPHANS).unwrap_or_default();
            match self.engine.find(id) {
                Err(Refusal::Unknown) => match self.orphan_age(&name)? {
                    Some(OrphanAge::Old) => {
                        self.engine.store.delete_session_parts(id)?;
                        self.progress.cleared += 1;
                    }
                    Some(OrphanAge::InTheFuture) => {}
                    Some(OrphanAge::Young) | None => continue,
                },
                // The first look was wrong, or the record has an unknown version.
                Ok(_) | Err(Refusal::Unreadable) => {}
                Err(refusal) => return Err(of(refusal)),
            }
            self.engine.store.delete_record(&name, None)?;
        }
        Ok(page.next)
    }

    /// Returns the age of a note; `None` if another host has deleted it, or it has an unknown version.
    fn orphan_age(&self, name: &str) -> Result<Option<OrphanAge>, Error> {
        match self.engine.store.get_record(name) {
            Ok(record) => Ok(Orphan::read(&record.value).map(|orphan| orphan.age(self.now_ms))),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a session has ended. Ends the session if it has expired.
    fn has_ended(&mut self, found: &Found) -> Result<bool, Error> {
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
                // Another host has deleted the record, or it has an unknown version.
                Err(Refusal::Unknown | Refusal::Unreadable) => continue,
                Err(refusal) => return Err(of(refusal)),
            };
            if !found.session.may_be_expired(self.now_ms) {
                continue;
            }
            let has_ended = self.has_ended(&found)?;
            if has_ended && found.session.may_be_forgotten(self.now_ms, self.settings.tombstone_ttl) {
                self.engine.store.delete_session_parts(id)?;
                if let Some(key) = &found.session.idempotency {
                    self.engine.store.delete_record(key, None)?;
                }
                self.engine.forget_notes(&found)?;
                if self.engine.store.delete_record(&name, None)? {
                    self.progress.purged += 1;
                }
            }
        }
        Ok(page.next)
    }

    fn tombstones(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let before = tombstones_before(self.now_ms, self.settings.session_ttl, self.settings.tombstone_ttl);
        let (purged, next) = self.engine.store.purge_gone(before, after)?;
        self.progress.purged += purged;
        Ok(next)
    }
}

/// Returns the storage error of a refusal. The maintenance causes no other refusals.
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
        for phase in [Phase::Parts, Phase::Orphans, Phase::Records, Phase::Tombstones] {
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
        assert_eq!(seen, [Phase::Parts, Phase::Orphans, Phase::Records, Phase::Tombstones]);
        let more = following((Phase::Records, None), Some("c".to_owned()));
        assert_eq!(more, Some((Phase::Records, Some("c".to_owned()))));
    }
}
