//! The round: removes what operations that died have left behind, and forgets the ids of deleted content.
//!
//! A round has four phases: the three kinds of notes, then tombstones. Its position is the number of the phase, a counter that
//! makes each position another one, and the cursor of the listing.
//!
//! Invariant: the round removes content only if the record that its note names has other content.

use crate::Adapter;
use crate::bindings::exports::portico::storage::maintenance::{Guest, Progress};
use crate::blobstore::remove_objects;
use crate::layout::objects_of;
use crate::limits::{DEAD_AFTER_MS, FORGET_AFTER_MS, ROUND_PAGE};
use crate::note::{NOTES, Note};
use crate::places::{SCOPE, container_by_key, find_object, found, remove_content};
use portico_adapter_common::open;
use portico_guest::bindings::portico::storage::storage as wit;
use portico_guest::{Error, Store, clock};
use std::time::Duration;

/// Where a round continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    phase: usize,
    count: u64,
    after: Option<String>,
}

impl Position {
    fn read(text: &str) -> Option<Position> {
        let mut words = text.splitn(3, ':');
        let (phase, count, after) = (words.next()?, words.next()?, words.next()?);
        let after = Some(after.to_owned()).filter(|after| !after.is_empty());
        Some(Position { phase: phase.parse().ok()?, count: count.parse().ok()?, after })
    }

    fn write(&self) -> String {
        format!("{}:{}:{}", self.phase, self.count, self.after.as_deref().unwrap_or_default())
    }

    fn next(&self, after: Option<String>) -> Position {
        let phase = if after.is_some() { self.phase } else { self.phase + 1 };
        Position { phase, count: self.count + 1, after }
    }
}

impl Guest for Adapter {
    fn run(budget_ms: u32, after: Option<String>) -> Result<Progress, wit::Error> {
        let position = after.as_deref().map_or(Some(Position::default()), Position::read);
        let mut position = position.ok_or(wit::Error::InvalidArgument(wit::Argument::Cursor))?;
        let mut progress = Progress { expired: 0, cleared: 0, purged: 0, open_sessions: 0, open_bytes: 0, next: None };
        let store = open(SCOPE)?;
        let end = clock::monotonic() + Duration::from_millis(budget_ms.into());
        while position.phase <= NOTES.len() {
            position = step(&store, &position, end, &mut progress)?;
            if clock::monotonic() >= end && position.phase <= NOTES.len() {
                progress.next = Some(position.write());
                break;
            }
        }
        Ok(progress)
    }
}

/// Does the next page of a phase. Returns the position behind it.
fn step(store: &Store, position: &Position, end: Duration, progress: &mut Progress) -> Result<Position, Error> {
    let after = position.after.as_deref();
    let Some(prefix) = NOTES.get(position.phase) else {
        let (purged, next) = store.purge_gone(clock::now_ms().saturating_sub(FORGET_AFTER_MS), after)?;
        progress.purged += purged;
        return Ok(position.next(next));
    };
    let page = store.list_records(prefix, after, ROUND_PAGE)?;
    for record in page.items {
        let Some(found) = found(store.get_record(&record))? else { continue };
        let Some((note, time)) = Note::read(&record, &found.value) else { continue };
        if clock::now_ms() < time.saturating_add(DEAD_AFTER_MS) {
            continue;
        }
        if !settle(store, &note, end)? {
            // The same page again, because the rest of a container's objects waits.
            return Ok(Position { count: position.count + 1, ..position.clone() });
        }
        store.delete_record(&record, None)?;
        progress.cleared += 1;
    }
    Ok(position.next(page.next))
}

/// Completes what an operation that died has begun. Returns false if the time was up before.
fn settle(store: &Store, note: &Note, end: Duration) -> Result<bool, Error> {
    match note {
        Note::Write { file, container_key, container, object, old } => {
            let record = format!("{}{object}", objects_of(container));
            let mut linked = find_object(store, &record)?;
            if !exists(store, container_key, container)? {
                // The container was deleted before the object was linked in it.
                if let Some((object, version)) = linked.take() {
                    remove_content(store, &object.file)?;
                    store.delete_record(&record, Some(&version))?;
                }
            }
            for unlinked in [Some(file), old.as_ref()].into_iter().flatten() {
                if linked.as_ref().is_none_or(|(object, _)| object.file != *unlinked) {
                    remove_content(store, unlinked)?;
                }
            }
        }
        Note::Delete { file, container, object } => {
            let linked = find_object(store, &format!("{}{object}", objects_of(container)))?;
            if linked.is_none_or(|(object, _)| object.file != *file) {
                remove_content(store, file)?;
            }
        }
        Note::DeleteContainer { container_key, container } => {
            if exists(store, container_key, container)? {
                return Ok(true);
            }
            while remove_objects(store, container, ROUND_PAGE)? {
                if clock::monotonic() >= end {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Whether a container exists, and is this one.
fn exists(store: &Store, key: &str, id: &str) -> Result<bool, Error> {
    Ok(container_by_key(store, key)?.is_some_and(|(container, _)| container.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_return_what_they_were_made_of_and_never_repeat() {
        let mut position = Position::default();
        for after in [Some("a:b:c"), Some("x"), None, None] {
            let next = position.next(after.map(str::to_owned));
            assert_ne!(next.write(), position.write());
            assert_eq!(Position::read(&next.write()), Some(next.clone()));
            position = next;
        }
        assert_eq!(position.phase, 2);
        for foreign in ["", "1", "1:2", "x:1:", "1:x:"] {
            assert_eq!(Position::read(foreign), None);
        }
    }
}
