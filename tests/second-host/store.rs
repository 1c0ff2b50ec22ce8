//! The resource `store`, over the store in memory.

use crate::bindings::wit::{self, Argument, Error, IfExists};
use crate::memory::{self, BUCKET, Id, OBJECT_MAX, Object, Part, page};
use crate::state::State;
use crate::storage::{Failure, Handle, Result, id_of, invalid, joined, parts_of, publish, remove};
use crate::writer::MemoryWriter;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

type Store = Resource<Handle>;

impl wit::HostStore for State {
    async fn info(&mut self, _: Store) -> wasmtime::Result<wit::StoreInfo> {
        let (backend, bucket) = ("memory".to_owned(), BUCKET.to_owned());
        Ok(wit::StoreInfo { backend, bucket, max_object_size: OBJECT_MAX, max_join_size: OBJECT_MAX })
    }

    async fn scope(&mut self, store: Store, name: String) -> Result<Store> {
        let path = memory::narrower(&self.path_of(&store)?, &name)?;
        Ok(self.table.push(Handle(path))?)
    }

    async fn put_temp_part(
        &mut self,
        store: Store,
        session: String,
        number: u32,
        content: Resource<DynInputStream>,
        options: wit::PartOptions,
    ) -> Result<wit::TempPart> {
        let content = self.take(content)?;
        let keeps = options.keep_prefix;
        let writer = self.part_writer(&store, session, number, options)?;
        let is_prefix = match writer.pull(content).await {
            Ok(_) => false,
            Err(Failure::Error(Error::Interrupted(count))) if keeps && count > 0 => true,
            Err(failure) => return Err(failure),
        };
        match self.commit(writer, nothing(), is_prefix)? {
            wit::Receipt::TempPart(part) => Ok(part),
            wit::Receipt::StoredObject(_) => unreachable!("the writer is of a part"),
        }
    }

    async fn get_temp_part_stream(
        &mut self,
        store: Store,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        memory::parse_key(&key)?;
        let bytes = self.with(&store, |space| Ok(space.part(&key)?.bytes.clone()));
        // A wrong range is reported whether the part exists or not.
        memory::slice(&[0; 0], range).or_else(|error| match error {
            Error::OutOfRange(_) => Ok(0..0),
            error => Err(error),
        })?;
        self.stream(&bytes?, range)
    }

    async fn stat_temp_part(&mut self, store: Store, key: String) -> Result<wit::TempPart> {
        self.with(&store, |space| Ok(space.part(&key)?.receipt.clone()))
    }

    async fn join_temp_parts(
        &mut self,
        store: Store,
        session: String,
        number: u32,
        keys: Vec<String>,
    ) -> Result<wit::TempPart> {
        memory::id(&session, Argument::SessionId)?;
        self.with(&store, |space| {
            let parts = parts_of(space, &keys, 2..=1_000);
            if keys.iter().any(|key| memory::parse_key(key).is_ok_and(|(of, _)| of != session)) {
                return Err(invalid(Argument::Parts));
            }
            let parts = parts?;
            if space.parts.contains_key(&(session.clone(), number)) {
                return Err(Error::Conflict);
            }
            let bytes = Arc::new(joined(&parts));
            let receipt = wit::TempPart {
                temp_key: format!("{session}/{number}/{}", memory::token()),
                part_number: number,
                size: bytes.len() as u64,
                sha256: None,
                offset: parts[0].receipt.offset,
                replayed: false,
                is_prefix: false,
            };
            remove(space, &parts);
            space.parts.insert((session, number), Part { receipt: receipt.clone(), bytes });
            Ok(receipt)
        })
    }

    async fn delete_temp_part(&mut self, store: Store, key: String) -> Result<bool> {
        memory::parse_key(&key)?;
        self.with(&store, |space| {
            let Ok(part) = space.part(&key).cloned() else { return Ok(false) };
            remove(space, &[part]);
            Ok(true)
        })
    }

    async fn list_temp_parts(
        &mut self,
        store: Store,
        session: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::PartsPage> {
        memory::id(&session, Argument::SessionId)?;
        self.with(&store, |space| {
            let of = space.parts.iter().filter(|((of, _), _)| *of == session);
            let entries = of.map(|((_, number), Part { receipt, .. })| {
                let listed = wit::ListedPart {
                    temp_key: receipt.temp_key.clone(),
                    part_number: *number,
                    size: receipt.size,
                    offset: receipt.offset,
                };
                (format!("{number:010}"), listed)
            });
            let (parts, next) = page('p', entries, after, limit)?;
            Ok(wit::PartsPage { parts, next })
        })
    }

    async fn list_temp_sessions(
        &mut self,
        store: Store,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::SessionsPage> {
        self.with(&store, |space| {
            let mut sessions: Vec<String> = space.parts.keys().map(|(session, _)| session.clone()).collect();
            sessions.dedup();
            let (sessions, next) = page('s', sessions.into_iter().map(|id| (id.clone(), id)), after, limit)?;
            Ok(wit::SessionsPage { sessions, next })
        })
    }

    async fn delete_session_parts(&mut self, store: Store, session: String) -> Result<u32> {
        memory::id(&session, Argument::SessionId)?;
        self.with(&store, |space| {
            *space.interrupts.entry(session.clone()).or_default() += 1;
            let before = space.parts.len();
            space.parts.retain(|(of, _), _| *of != session);
            Ok((before - space.parts.len()) as u32)
        })
    }

    async fn interrupt(&mut self, store: Store, session: String) -> Result<()> {
        memory::id(&session, Argument::SessionId)?;
        self.with(&store, |space| {
            *space.interrupts.entry(session).or_default() += 1;
            Ok(())
        })
    }

    async fn put_final(
        &mut self,
        store: Store,
        id: String,
        content: Resource<DynInputStream>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let content = self.take(content)?;
        let writer = self.final_writer(&store, id, options)?;
        writer.pull(content).await?;
        match self.commit(writer, nothing(), false)? {
            wit::Receipt::StoredObject(object) => Ok(object),
            wit::Receipt::TempPart(_) => unreachable!("the writer is of a final object"),
        }
    }

    async fn assemble_final(
        &mut self,
        store: Store,
        id: String,
        keys: Vec<String>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        memory::id(&id, Argument::FileId)?;
        memory::final_options(&options)?;
        if !options.expected.others.is_empty() {
            return Err(invalid(Argument::Expected).into());
        }
        let scope = self.path_of(&store)?;
        self.with(&store, |space| {
            match space.object(&id) {
                Ok(_) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
                Err(error @ Error::Gone(_)) => return Err(error),
                _ => {}
            }
            let parts = parts_of(space, &keys, 0..=100_000)?;
            let bytes = Arc::new(joined(&parts));
            let (size, sha256) = (bytes.len() as u64, Sha256::digest(&*bytes).to_vec());
            if let Some(expected) = options.expected.size.filter(|expected| *expected != size) {
                let actual = size.min(expected.saturating_add(1));
                return Err(Error::SizeMismatch(wit::SizeMismatch { expected, actual }));
            }
            if options.expected.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
                return Err(Error::DigestMismatch);
            }
            let object = publish(space, &scope, &id, options, bytes, sha256)?;
            for part in &parts {
                let (session, _) = memory::parse_key(&part.receipt.temp_key)?;
                *space.interrupts.entry(session).or_default() += 1;
            }
            remove(space, &parts);
            Ok(object)
        })
    }

    async fn get_final_stream(
        &mut self,
        store: Store,
        bucket: String,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let scope = self.path_of(&store)?;
        let id = id_of(&scope, &bucket, &key).ok_or(Error::NotFound)?;
        let bytes = self.with(&store, |space| Ok(space.object(id)?.bytes.clone()))?;
        self.stream(&bytes, range)
    }

    async fn open_final(&mut self, store: Store, id: String) -> Result<Resource<Object>> {
        memory::id(&id, Argument::FileId)?;
        let object = self.with(&store, |space| space.object(&id).cloned())?;
        Ok(self.table.push(object)?)
    }

    async fn stat_final(&mut self, store: Store, id: String) -> Result<wit::StoredObject> {
        memory::id(&id, Argument::FileId)?;
        self.with(&store, |space| Ok(space.object(&id)?.receipt.clone()))
    }

    async fn stat_finals(&mut self, store: Store, ids: Vec<String>) -> Result<Vec<Option<wit::StoredObject>>> {
        if ids.len() > 1_000 {
            return Err(invalid(Argument::Limit).into());
        }
        ids.iter().try_for_each(|id| memory::id(id, Argument::FileId))?;
        self.with(&store, |space| {
            Ok(ids.iter().map(|id| space.object(id).ok().map(|object| object.receipt.clone())).collect())
        })
    }

    async fn delete_final(&mut self, store: Store, bucket: String, key: String) -> Result<bool> {
        let scope = self.path_of(&store)?;
        let Some(id) = id_of(&scope, &bucket, &key) else { return Ok(false) };
        self.with(&store, |space| match space.ids.get_mut(id) {
            Some(slot @ Id::Object(_)) => {
                *slot = Id::Gone { reason: "deleted".to_owned(), at: memory::now() };
                Ok(true)
            }
            _ => Ok(false),
        })
    }

    async fn list_finals(&mut self, store: Store, after: Option<String>, limit: u32) -> Result<wit::FinalsPage> {
        self.with(&store, |space| {
            let objects = space.ids.iter().filter(|(_, id)| matches!(id, Id::Object(_)));
            let (file_ids, next) = page('f', objects.map(|(id, _)| (id.clone(), id.clone())), after, limit)?;
            Ok(wit::FinalsPage { file_ids, next })
        })
    }

    async fn void_final(&mut self, store: Store, id: String, reason: String) -> Result<bool> {
        memory::id(&id, Argument::FileId)?;
        memory::reason(&reason)?;
        self.with(&store, |space| {
            let is_free = !space.ids.contains_key(&id);
            space.ids.entry(id).or_insert_with(|| Id::Gone { reason, at: memory::now() });
            Ok(is_free)
        })
    }

    async fn purge_gone(&mut self, store: Store, before: u64, after: Option<String>) -> Result<wit::PurgedPage> {
        self.with(&store, |space| {
            let (ids, next) = page('g', space.ids.keys().map(|id| (id.clone(), id.clone())), after, 1_000)?;
            let count = space.ids.len();
            space.ids.retain(|id, slot| !matches!(slot, Id::Gone { at, .. } if *at < before) || !ids.contains(id));
            Ok(wit::PurgedPage { purged: (count - space.ids.len()) as u32, next })
        })
    }

    async fn create_temp_part(
        &mut self,
        store: Store,
        session: String,
        number: u32,
        options: wit::PartOptions,
    ) -> Result<Resource<MemoryWriter>> {
        let writer = self.part_writer(&store, session, number, options)?;
        Ok(self.table.push(writer)?)
    }

    async fn create_final(
        &mut self,
        store: Store,
        id: String,
        options: wit::FinalOptions,
    ) -> Result<Resource<MemoryWriter>> {
        let writer = self.final_writer(&store, id, options)?;
        Ok(self.table.push(writer)?)
    }

    async fn create_record(&mut self, store: Store, name: String, value: Vec<u8>) -> Result<String> {
        self.put_record(&store, name, value, |there| if there.is_some() { Err(Error::Conflict) } else { Ok(()) })
    }

    async fn get_record(&mut self, store: Store, name: String) -> Result<wit::StoredRecord> {
        memory::record_name(&name)?;
        self.with(&store, |space| space.records.get(&name).cloned().ok_or(Error::NotFound))
    }

    async fn replace_record(&mut self, store: Store, name: String, version: String, value: Vec<u8>) -> Result<String> {
        self.put_record(&store, name, value, |there| match there {
            None => Err(Error::NotFound),
            Some(there) if there.version != version => Err(Error::Conflict),
            Some(_) => Ok(()),
        })
    }

    async fn delete_record(&mut self, store: Store, name: String, version: Option<String>) -> Result<bool> {
        memory::record_name(&name)?;
        self.with(&store, |space| match space.records.get(&name) {
            Some(there) if version.is_some_and(|version| version != there.version) => Err(Error::Conflict),
            _ => Ok(space.records.remove(&name).is_some()),
        })
    }

    async fn list_records(
        &mut self,
        store: Store,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::RecordsPage> {
        memory::record_prefix(&prefix)?;
        self.with(&store, |space| {
            let names = space.records.keys().filter(|name| name.starts_with(&prefix));
            let (names, next) = page('r', names.map(|name| (name.clone(), name.clone())), after, limit)?;
            Ok(wit::RecordsPage { names, next })
        })
    }

    async fn drop(&mut self, store: Store) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl State {
    fn put_record(
        &self,
        store: &Store,
        name: String,
        value: Vec<u8>,
        check: impl FnOnce(Option<&wit::StoredRecord>) -> Result<(), Error>,
    ) -> Result<String> {
        memory::record_name(&name)?;
        if value.len() > 64 << 10 {
            return Err(Error::TooLarge(64 << 10).into());
        }
        self.with(store, |space| {
            check(space.records.get(&name))?;
            let version = memory::token();
            space.records.insert(name.clone(), wit::StoredRecord { name, version: version.clone(), value });
            Ok(version)
        })
    }
}

fn nothing() -> wit::Expected {
    wit::Expected { size: None, sha256: None, others: Vec::new() }
}
