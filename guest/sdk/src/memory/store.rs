//! The operations of a store, as the bindings have them.

use super::{
    content, names,
    pages::page,
    state::{BUCKET, FINALS, Id, Object, Part, Scope, Shared, State},
    streams::InputStream,
    writer::Writer,
};
use crate::bindings::portico::storage::storage::{self as wit, Argument, ByteRange, Error, IfExists};
use std::{io::Cursor, sync::Arc};

/// The largest list of file ids.
const STAT_MAX: usize = 1_000;

/// The most ids that a step of `purge-gone` looks at.
const PURGE_STEP: u32 = 1_000;

/// The largest value of a record, in bytes.
const RECORD_MAX: usize = 64 << 10;

/// A capability for one scope of a host in memory.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Shared,
    scope: String,
}

type Result<T> = std::result::Result<T, Error>;

impl Store {
    /// Opens the widest scope.
    pub(super) fn widest(shared: &Shared) -> Self {
        Store { shared: shared.clone(), scope: String::new() }
    }

    /// Runs one step on this scope, alone.
    fn with<T>(&self, step: impl FnOnce(&mut Scope) -> Result<T>) -> Result<T> {
        step(self.shared.begin()?.scope(&self.scope))
    }

    /// Runs one step on the whole state, alone.
    fn with_state<T>(&self, step: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        step(&mut *self.shared.begin()?)
    }

    /// Returns the file id of a final object's location, if it is in this scope.
    fn id_of<'k>(&self, bucket: &str, key: &'k str) -> Option<&'k str> {
        let path = key.strip_prefix(FINALS)?;
        let id = if self.scope.is_empty() { path } else { path.strip_prefix(&self.scope)?.strip_prefix('/')? };
        (bucket == BUCKET && names::file(id).is_ok()).then_some(id)
    }

    pub(crate) fn info(&self) -> wit::StoreInfo {
        let max = self.shared.state().object_max;
        let (backend, bucket) = ("memory".to_owned(), BUCKET.to_owned());
        wit::StoreInfo { backend, bucket, max_object_size: max, max_join_size: max }
    }

    pub(crate) fn scope(&self, name: &str) -> Result<Store> {
        Ok(Store { shared: self.shared.clone(), scope: names::scope(&self.scope, name)? })
    }

    pub(crate) fn put_temp_part(
        &self,
        session: &str,
        number: u32,
        content: InputStream,
        options: &wit::PartOptions,
    ) -> Result<wit::TempPart> {
        Writer::of_part(&self.shared, &self.scope, session, number, options)?.put_part(content)
    }

    pub(crate) fn create_temp_part(&self, session: &str, number: u32, options: &wit::PartOptions) -> Result<Writer> {
        Writer::of_part(&self.shared, &self.scope, session, number, options)
    }

    pub(crate) fn get_temp_part_stream(&self, temp_key: &str, range: Option<ByteRange>) -> Result<InputStream> {
        names::temp_key(temp_key)?;
        names::range(range)?;
        self.with(|space| stream(&space.part(temp_key)?.bytes, range))
    }

    pub(crate) fn stat_temp_part(&self, temp_key: &str) -> Result<wit::TempPart> {
        self.with(|space| Ok(space.part(temp_key)?.receipt.clone()))
    }

    pub(crate) fn join_temp_parts(&self, session: &str, number: u32, temp_keys: &[String]) -> Result<wit::TempPart> {
        names::session(session)?;
        names::temp_keys(temp_keys, 2..=1_000)?;
        if temp_keys.iter().any(|key| names::temp_key(key).is_ok_and(|(of, _)| of != session)) {
            return Err(Error::InvalidArgument(Argument::Parts));
        }
        self.with_state(|state| {
            let (token, limit) = (state.token(), state.object_max);
            let space = state.scope(&self.scope);
            let bytes = space.joined(temp_keys)?;
            if bytes.len() as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            let slot = (session.to_owned(), number);
            if space.parts.contains_key(&slot) {
                return Err(Error::Conflict);
            }
            let receipt = wit::TempPart {
                temp_key: format!("{session}/{number}/{token}"),
                part_number: number,
                size: bytes.len() as u64,
                sha256: None,
                offset: space.part(&temp_keys[0])?.receipt.offset,
                replayed: false,
                is_prefix: false,
            };
            space.remove(temp_keys);
            space.parts.insert(slot, Part { receipt: receipt.clone(), bytes: bytes.into() });
            Ok(receipt)
        })
    }

    pub(crate) fn delete_temp_part(&self, temp_key: &str) -> Result<bool> {
        names::temp_key(temp_key)?;
        self.with(|space| {
            let exists = space.part(temp_key).is_ok();
            space.remove(&[temp_key.to_owned()]);
            Ok(exists)
        })
    }

    pub(crate) fn list_temp_parts(&self, session: &str, after: Option<&str>, limit: u32) -> Result<wit::PartsPage> {
        names::session(session)?;
        self.with(|space| {
            let parts = space.parts.iter().filter(|((of, _), _)| of == session);
            let entries = parts.map(|((_, number), part)| {
                let wit::TempPart { temp_key, part_number, size, offset, .. } = part.receipt.clone();
                (format!("{number:010}"), wit::ListedPart { temp_key, part_number, size, offset })
            });
            let (parts, next) = page('p', after, limit, entries)?;
            Ok(wit::PartsPage { parts, next })
        })
    }

    pub(crate) fn list_temp_sessions(&self, after: Option<&str>, limit: u32) -> Result<wit::SessionsPage> {
        self.with(|space| {
            let mut sessions: Vec<&String> = space.parts.keys().map(|(session, _)| session).collect();
            sessions.dedup();
            let (sessions, next) = page('s', after, limit, named(sessions.into_iter()))?;
            Ok(wit::SessionsPage { sessions, next })
        })
    }

    pub(crate) fn delete_session_parts(&self, session: &str) -> Result<u32> {
        names::session(session)?;
        self.with(|space| {
            space.interrupt(session);
            let before = space.parts.len();
            space.parts.retain(|(of, _), _| of != session);
            Ok((before - space.parts.len()) as u32)
        })
    }

    pub(crate) fn interrupt(&self, session: &str) -> Result<()> {
        names::session(session)?;
        self.with(|space| {
            space.interrupt(session);
            Ok(())
        })
    }

    pub(crate) fn put_final(
        &self,
        file_id: &str,
        content: InputStream,
        options: &wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        Writer::of_final(&self.shared, &self.scope, file_id, options)?.put_final(content)
    }

    pub(crate) fn create_final(&self, file_id: &str, options: &wit::FinalOptions) -> Result<Writer> {
        Writer::of_final(&self.shared, &self.scope, file_id, options)
    }

    pub(crate) fn assemble_final(
        &self,
        file_id: &str,
        temp_keys: &[String],
        options: &wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        names::file(file_id)?;
        names::temp_keys(temp_keys, 0..=100_000)?;
        names::final_options(options)?;
        if !options.expected.others.is_empty() {
            return Err(Error::InvalidArgument(Argument::Expected));
        }
        self.with_state(|state| {
            let limit = state.object_max;
            let space = state.scope(&self.scope);
            match space.object(file_id) {
                Ok(_) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
            let bytes = space.joined(temp_keys)?;
            if bytes.len() as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            content::compare(&bytes, &options.expected, false)?;
            let object = state.publish(&self.scope, file_id, &bytes, options)?;
            let space = state.scope(&self.scope);
            for key in temp_keys {
                space.interrupt(names::temp_key(key)?.0);
            }
            space.remove(temp_keys);
            Ok(object)
        })
    }

    pub(crate) fn get_final_stream(&self, bucket: &str, key: &str, range: Option<ByteRange>) -> Result<InputStream> {
        names::range(range)?;
        let id = self.id_of(bucket, key).ok_or(Error::NotFound)?;
        self.with(|space| stream(&space.object(id)?.bytes, range))
    }

    pub(crate) fn open_final(&self, file_id: &str) -> Result<FinalReader> {
        names::file(file_id)?;
        self.with(|space| Ok(FinalReader(space.object(file_id)?.clone())))
    }

    pub(crate) fn stat_final(&self, file_id: &str) -> Result<wit::StoredObject> {
        names::file(file_id)?;
        self.with(|space| Ok(space.object(file_id)?.receipt.clone()))
    }

    pub(crate) fn stat_finals(&self, file_ids: &[String]) -> Result<Vec<Option<wit::StoredObject>>> {
        if file_ids.len() > STAT_MAX {
            return Err(Error::InvalidArgument(Argument::Limit));
        }
        file_ids.iter().try_for_each(|id| names::file(id))?;
        let receipt = |space: &Scope, id| space.object(id).ok().map(|object| object.receipt.clone());
        self.with(|space| Ok(file_ids.iter().map(|id| receipt(space, id)).collect()))
    }

    pub(crate) fn delete_final(&self, bucket: &str, key: &str) -> Result<bool> {
        let Some(id) = self.id_of(bucket, key) else { return Ok(false) };
        self.with_state(|state| {
            let at_ms = state.now_ms();
            let space = state.scope(&self.scope);
            if space.object(id).is_err() {
                return Ok(false);
            }
            space.ids.insert(id.to_owned(), Id::Tombstone { reason: "deleted".to_owned(), at_ms });
            Ok(true)
        })
    }

    pub(crate) fn list_finals(&self, after: Option<&str>, limit: u32) -> Result<wit::FinalsPage> {
        self.with(|space| {
            let objects = space.ids.iter().filter(|(_, id)| matches!(id, Id::Object(_))).map(|(id, _)| id);
            let (file_ids, next) = page('f', after, limit, named(objects))?;
            Ok(wit::FinalsPage { file_ids, next })
        })
    }

    pub(crate) fn void_final(&self, file_id: &str, reason: &str) -> Result<bool> {
        names::file(file_id)?;
        names::reason(reason)?;
        self.with_state(|state| {
            let at_ms = state.now_ms();
            let ids = &mut state.scope(&self.scope).ids;
            let decides = !ids.contains_key(file_id);
            ids.entry(file_id.to_owned()).or_insert_with(|| Id::Tombstone { reason: reason.to_owned(), at_ms });
            Ok(decides)
        })
    }

    pub(crate) fn purge_gone(&self, before: u64, after: Option<&str>) -> Result<wit::PurgedPage> {
        self.with(|space| {
            let (ids, next) = page('g', after, PURGE_STEP, named(space.ids.keys()))?;
            let is_old =
                |id: &&String| matches!(space.ids.get(*id), Some(Id::Tombstone { at_ms, .. }) if *at_ms < before);
            let old: Vec<&String> = ids.iter().filter(is_old).collect();
            let purged = old.len() as u32;
            for id in old {
                space.ids.remove(id);
            }
            Ok(wit::PurgedPage { purged, next })
        })
    }

    pub(crate) fn create_record(&self, name: &str, value: &[u8]) -> Result<String> {
        self.write_record(name, value, |there| if there.is_some() { Err(Error::Conflict) } else { Ok(()) })
    }

    pub(crate) fn get_record(&self, name: &str) -> Result<wit::StoredRecord> {
        names::record(name)?;
        self.with(|space| space.records.get(name).cloned().ok_or(Error::NotFound))
    }

    pub(crate) fn replace_record(&self, name: &str, version: &str, value: &[u8]) -> Result<String> {
        self.write_record(name, value, |there| match there {
            None => Err(Error::NotFound),
            Some(there) if there.version == version => Ok(()),
            Some(_) => Err(Error::Conflict),
        })
    }

    fn write_record(
        &self,
        name: &str,
        value: &[u8],
        check: impl FnOnce(Option<&wit::StoredRecord>) -> Result<()>,
    ) -> Result<String> {
        names::record(name)?;
        if value.len() > RECORD_MAX {
            return Err(Error::TooLarge(RECORD_MAX as u64));
        }
        self.with_state(|state| {
            let version = state.token();
            let records = &mut state.scope(&self.scope).records;
            check(records.get(name))?;
            let record = wit::StoredRecord { name: name.to_owned(), version: version.clone(), value: value.to_vec() };
            records.insert(name.to_owned(), record);
            Ok(version)
        })
    }

    pub(crate) fn delete_record(&self, name: &str, version: Option<&str>) -> Result<bool> {
        names::record(name)?;
        self.with(|space| match space.records.get(name) {
            Some(there) if version.is_some_and(|version| version != there.version) => Err(Error::Conflict),
            _ => Ok(space.records.remove(name).is_some()),
        })
    }

    pub(crate) fn list_records(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<wit::RecordsPage> {
        names::record_prefix(prefix)?;
        self.with(|space| {
            let names = space.records.keys().filter(|name| name.starts_with(prefix));
            let (names, next) = page('r', after, limit, named(names))?;
            Ok(wit::RecordsPage { names, next })
        })
    }
}

/// A final object, opened for reading.
#[derive(Debug)]
pub(crate) struct FinalReader(Object);

impl FinalReader {
    pub(crate) fn receipt(&self) -> wit::StoredObject {
        self.0.receipt.clone()
    }

    pub(crate) fn stream(&self, range: Option<ByteRange>) -> Result<InputStream> {
        stream(&self.0.bytes, range)
    }
}

fn stream(bytes: &Arc<[u8]>, range: Option<ByteRange>) -> Result<InputStream> {
    let within = names::within(range, bytes.len())?;
    let mut reader = Cursor::new(bytes.clone());
    reader.set_position(within.start as u64);
    Ok(InputStream::from_reader(std::io::Read::take(reader, within.len() as u64)))
}

/// Makes entries of a listing of names.
fn named<'n>(names: impl Iterator<Item = &'n String>) -> impl Iterator<Item = (String, String)> {
    names.map(|name| (name.clone(), name.clone()))
}
