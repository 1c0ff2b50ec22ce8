//! Background maintenance: ends expired sessions, deletes the parts of ended ones, and forgets old records and
//! tombstones.
//!
//! A round has four phases, each a walk through a listing.
//!
//! Invariants: a tombstone at its file id ends a session before any of its content is deleted, so a concurrent finalize
//! either has won, and keeps the session, or fails. Parts of a session without a record are deleted only after two
//! rounds, at least [`ORPHAN_GRACE`](portico_guest::maintenance::ORPHAN_GRACE) apart, have missed the record.

use crate::{
    engine::{Engine, Found, SESSIONS},
    refusal::Refusal,
    session::{EXPIRED, tombstones_before},
    settings::Settings,
};
use portico_guest::{
    Error, clock,
    exchange::{Outcome, count_upload},
    maintenance::{Phase, Progress, Step, note_orphan, review_orphans, walk},
};

/// Entries of a listing between two looks at the clock.
const PAGE: u32 = 50;

/// The walks of a round: sessions that have parts, sessions that were seen without a record, records of sessions, and
/// tombstones.
const PHASES: [(&str, Phase<Round>); 4] = [
    ("parts", Round::parts),
    ("orphans", Round::orphans),
    ("records", Round::records),
    ("tombstones", Round::tombstones),
];

/// Runs a step of the background work.
///
/// # Errors
/// Why the step failed, as the host is told.
pub fn maintain(step: Step) -> Result<Progress, Error> {
    let (engine, settings) = (Engine::open(), Settings::load());
    let mut round = Round { engine, settings, now_ms: clock::now_ms(), progress: Progress::default() };
    let next = walk(&step, &mut round, &PHASES).map_err(failure)?;
    Ok(Progress { next, ..round.progress })
}

/// Returns what the host is told about a failure.
fn failure(error: Error) -> Error {
    match error {
        Error::NoSpace | Error::Denied | Error::Internal { .. } | Error::InvalidArgument(_) => error,
        _ => Error::Unavailable { retry_after: None },
    }
}

struct Round {
    engine: Engine,
    settings: Settings,
    now_ms: u64,
    progress: Progress,
}

impl Round {
    fn parts(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let page = self.engine.store.list_temp_sessions(after, PAGE)?;
        for id in page.items {
            match self.engine.find(&id) {
                Ok(found) => {
                    if self.has_ended(&found)? {
                        self.engine.store.delete_session_parts(&id)?;
                        self.progress.cleared += 1;
                    } else {
                        self.progress.open_sessions += 1;
                        self.progress.open_bytes += self.engine.arrived(&found).map_err(of)?.bytes;
                    }
                }
                // Such a session has ended, because its record is created before a client learns the id, and deleted last.
                Err(Refusal::Unknown) => note_orphan(&self.engine.store, &id, self.now_ms)?,
                Err(Refusal::Unreadable) => {}
                Err(refusal) => return Err(of(refusal)),
            }
        }
        Ok(page.next)
    }

    fn orphans(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let is_orphan = |id: &str| match self.engine.find(id) {
            Err(Refusal::Unknown) => Ok(true),
            // The first look was wrong, or the record has an unknown version.
            Ok(_) | Err(Refusal::Unreadable) => Ok(false),
            Err(refusal) => Err(of(refusal)),
        };
        let reviewed = review_orphans(&self.engine.store, self.now_ms, after, is_orphan)?;
        self.progress.cleared += reviewed.cleared;
        Ok(reviewed.next)
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
            count_upload(found.session.begun_by.into(), Outcome::Expired);
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
