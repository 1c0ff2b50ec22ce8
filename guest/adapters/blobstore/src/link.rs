//! Changes of objects: new content under a name, and the deletion of a name.
//!
//! A write notes what it will do, completes the content, links it by one conditional write of the object's record, removes the
//! content that was linked before, and deletes its note. A deletion does the same without new content.

use crate::layout::{Container, Object};
use crate::note::Note;
use crate::places::{Place, container_by_key, find_object, remove_content, text};
use portico_adapter_common::Attempts;
use portico_guest::{Error, Store, StoredObject};
use std::time::SystemTime;

/// Completes content, and links it under a place. `complete` makes the content visible under its file id.
pub(crate) fn write(
    store: &Store,
    place: &Place,
    file: &str,
    complete: impl FnOnce() -> Result<StoredObject, Error>,
) -> Result<(), String> {
    let mut before = place.find(store).map_err(text)?;
    let note = note_of(place, file, before.as_ref());
    let mut note_version = store.create_record(&note.record(), &note.write()).map_err(text)?;
    let object = match complete() {
        Ok(stored) => object_of(&stored),
        Err(error) => {
            // The effect of other errors is open; the round looks.
            if !matches!(error, Error::Unavailable { .. } | Error::Internal { .. }) {
                forget(store, &note);
            }
            return Err(text(error));
        }
    };
    let mut attempts = Attempts::default();
    loop {
        if !attempts.begin() {
            abandon(store, &note, file);
            return Err(format!("too many others write object '{}' at the same time", place.name));
        }
        let linked = link(store, place, &object, before.as_ref().map(|(_, version)| version.as_str()));
        let Err(error) = linked else { break };
        let now = match (&error, place.find(store)) {
            // The answer of an earlier attempt was lost.
            (_, Ok(Some((now, _)))) if now.file == file => break,
            (Error::Conflict | Error::NotFound, Ok(now)) => now,
            _ => return Err(text(error)),
        };
        if now.as_ref().map(|(object, _)| &object.file) != before.as_ref().map(|(object, _)| &object.file) {
            let value = note_of(place, file, now.as_ref()).write();
            note_version = store.replace_record(&note.record(), &note_version, &value).map_err(text)?;
        }
        before = now;
    }
    if !is_alive(store, &place.container).map_err(text)? {
        unlink(store, place, file).map_err(text)?;
        abandon(store, &note, file);
        return Err(format!("container '{}' does not exist", place.container.name));
    }
    let cleared = before.map_or(Ok(()), |(old, _)| remove_content(store, &old.file));
    match cleared.and_then(|()| store.delete_record(&note.record(), None)) {
        Ok(true) => Ok(()),
        Ok(false) => match store.stat_final(file) {
            // The round took this write for dead.
            Err(Error::NotFound | Error::Gone { .. }) => {
                unlink(store, place, file).map_err(text)?;
                Err(format!("writing object '{}' took too long", place.name))
            }
            stat => stat.map(drop).map_err(text),
        },
        Err(error) => {
            warn(&note, &error);
            Ok(())
        }
    }
}

/// Deletes an object. Returns false if there is none. With a file id, deletes the object only while it has that content.
pub(crate) fn delete(store: &Store, place: &Place, only: Option<&str>) -> Result<bool, String> {
    let mut attempts = Attempts::default();
    while attempts.begin() {
        let Some((object, version)) = place.find(store).map_err(text)? else { return Ok(false) };
        if only.is_some_and(|file| file != object.file) {
            return Ok(false);
        }
        let (container, key) = (place.container.id.clone(), place.key.clone());
        let note = Note::Delete { file: object.file.clone(), container, object: key };
        match store.create_record(&note.record(), &note.write()) {
            Ok(_) | Err(Error::Conflict) => {}
            Err(error) => return Err(text(error)),
        }
        match store.delete_record(&place.record(), Some(&version)) {
            Ok(true) => {
                match remove_content(store, &object.file) {
                    Ok(()) => forget(store, &note),
                    Err(error) => warn(&note, &error),
                }
                return Ok(true);
            }
            // Another one deletes or replaces it, and removes the content. The round removes this note.
            Ok(false) => return Ok(false),
            Err(Error::Conflict) => {}
            Err(error) => return Err(text(error)),
        }
    }
    Err(format!("too many others write object '{}' at the same time", place.name))
}

/// Whether a container still exists, and is this one.
pub(crate) fn is_alive(store: &Store, container: &Container) -> Result<bool, Error> {
    Ok(container_by_key(store, &container.key)?.is_some_and(|(now, _)| now.id == container.id))
}

fn note_of(place: &Place, file: &str, before: Option<&(Object, String)>) -> Note {
    Note::Write {
        file: file.to_owned(),
        container_key: place.container.key.clone(),
        container: place.container.id.clone(),
        object: place.key.clone(),
        old: before.map(|(object, _)| object.file.clone()),
    }
}

fn object_of(stored: &StoredObject) -> Object {
    let created = stored.created_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let created = u64::try_from(created.as_millis()).unwrap_or(u64::MAX);
    Object { file: stored.file_id.clone(), size: stored.size, created }
}

fn link(store: &Store, place: &Place, object: &Object, version: Option<&str>) -> Result<String, Error> {
    let (record, value) = (place.record(), object.write(&place.name));
    match version {
        Some(version) => store.replace_record(&record, version, &value),
        None => store.create_record(&record, &value),
    }
}

/// Deletes the record of an object while it has that content.
fn unlink(store: &Store, place: &Place, file: &str) -> Result<(), Error> {
    while let Some((object, version)) = find_object(store, &place.record())? {
        if object.file != file {
            break;
        }
        match store.delete_record(&place.record(), Some(&version)) {
            Err(Error::Conflict) => {}
            result => return result.map(drop),
        }
    }
    Ok(())
}

/// Removes content that is not linked, and its note.
fn abandon(store: &Store, note: &Note, file: &str) {
    match remove_content(store, file) {
        Ok(()) => forget(store, note),
        Err(error) => warn(note, &error),
    }
}

/// Deletes a note. The round deletes one that stays.
pub(crate) fn forget(store: &Store, note: &Note) {
    if let Err(error) = store.delete_record(&note.record(), None) {
        warn(note, &error);
    }
}

#[expect(clippy::print_stderr, reason = "standard error is what the host logs")]
fn warn(note: &Note, error: &Error) {
    eprintln!("blobstore: leftovers stay until the maintenance removes them ({}): {error}", note.record());
}
