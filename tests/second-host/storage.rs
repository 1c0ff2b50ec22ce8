//! The interface `portico:storage/storage`, over the store in memory.

use crate::bindings::wit::{self, Argument, Error, IfExists};
use crate::memory::{self, BUCKET, Id, OBJECT_MAX, Object, Part, SIZE_MAX, Space, page};
use crate::state::State;
use crate::writer::{MemoryWriter, Target};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

/// A handle of a store: the path of its scope.
pub struct Handle(pub(crate) String);

/// Why a call fails: with an error that the guest gets, or by a trap.
pub enum Failure {
    Error(Error),
    Trap(wasmtime::Error),
}

/// An error of the contract behind a failed stream.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) Error);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failed {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}

type Result<T, E = Failure> = std::result::Result<T, E>;

fn invalid(argument: Argument) -> Error {
    Error::InvalidArgument(argument)
}

impl State {
    fn path_of(&self, store: &Resource<Handle>) -> Result<String> {
        Ok(self.table.get(store)?.0.clone())
    }

    /// Runs a step on the scope of a store, alone.
    fn with<T>(&self, store: &Resource<Handle>, step: impl FnOnce(&mut Space) -> Result<T, Error>) -> Result<T> {
        Ok(self.memory.with(&self.path_of(store)?, step)?)
    }

    fn take(&mut self, content: Resource<DynInputStream>) -> Result<DynInputStream> {
        let kept = Resource::new_own(content.rep());
        match self.table.delete(content) {
            Ok(content) => Ok(content),
            // The content is consumed all the same. Its entry has to stay for the pollable.
            Err(_) => {
                let closed: DynInputStream = Box::new(MemoryInputPipe::new(Bytes::new()));
                drop(std::mem::replace(self.table.get_mut(&kept)?, closed));
                Err(invalid(Argument::Content).into())
            }
        }
    }

    fn stream(&mut self, bytes: &[u8], range: Option<wit::ByteRange>) -> Result<Resource<DynInputStream>> {
        let bytes = Bytes::copy_from_slice(&bytes[memory::slice(bytes, range)?]);
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(bytes));
        Ok(self.table.push(stream)?)
    }

    fn part_writer(
        &self,
        store: &Resource<Handle>,
        session: String,
        number: u32,
        options: wit::PartOptions,
    ) -> Result<MemoryWriter> {
        memory::id(&session, Argument::SessionId)?;
        memory::expected(&options.expected)?;
        if options.keep_prefix && (options.expected.sha256.is_some() || !options.expected.others.is_empty()) {
            return Err(invalid(Argument::Expected).into());
        }
        let size = options.expected.size.unwrap_or_default();
        if options.offset.is_some_and(|offset| offset.checked_add(size).is_none_or(|end| end > SIZE_MAX)) {
            return Err(invalid(Argument::Offset).into());
        }
        let limit = options.limit.unwrap_or(OBJECT_MAX).min(OBJECT_MAX);
        if size > limit {
            return Err(Error::TooLarge(limit).into());
        }
        options.unless_final.as_ref().map_or(Ok(()), |id| memory::id(id, Argument::FileId))?;
        options.previous.as_ref().map_or(Ok(()), |key| memory::parse_key(key).map(drop))?;
        let interrupts = self.with(store, |space| {
            space.must_be_open(options.unless_final.as_ref())?;
            let taken = space.parts.get(&(session.clone(), number));
            let other = |part: &Part| options.expected.size.is_some_and(|size| size != part.receipt.size);
            if taken.is_some_and(|part| options.if_exists == IfExists::Fail || other(part)) {
                return Err(Error::Conflict);
            }
            Ok(space.interrupts.get(&session).copied().unwrap_or_default())
        })?;
        Ok(MemoryWriter::new(
            &self.memory,
            &self.path_of(store)?,
            Target::Part { session, number, options, interrupts },
        ))
    }

    fn final_writer(&self, store: &Resource<Handle>, id: String, options: wit::FinalOptions) -> Result<MemoryWriter> {
        memory::id(&id, Argument::FileId)?;
        memory::final_options(&options)?;
        if options.expected.size.is_some_and(|size| size > OBJECT_MAX) {
            return Err(Error::TooLarge(OBJECT_MAX).into());
        }
        self.with(store, |space| match space.object(&id) {
            Ok(_) if options.if_exists == IfExists::Fail => Err(Error::Conflict),
            Err(Error::Gone(reason)) => Err(Error::Gone(reason)),
            _ => Ok(()),
        })?;
        Ok(MemoryWriter::new(&self.memory, &self.path_of(store)?, Target::Final { id, options }))
    }

    /// Checks content that is complete, and stores it.
    fn commit(&self, writer: MemoryWriter, expected: wit::Expected, is_prefix: bool) -> Result<wit::Receipt> {
        memory::expected(&expected)?;
        let content = std::mem::take(&mut *writer.content());
        if !is_prefix {
            content.failed.map_or(Ok(()), Err)?;
        }
        let bytes = Arc::new(content.bytes);
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(&*bytes).to_vec());
        for expected in [&expected, writer.target.expected()] {
            if let Some(expected) = expected.size.filter(|expected| *expected != size && !is_prefix) {
                return Err(Error::SizeMismatch(wit::SizeMismatch { expected, actual: size }).into());
            }
            if expected.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
                return Err(Error::DigestMismatch.into());
            }
        }
        let stored = self.memory.with(&writer.scope, |space| match writer.target {
            Target::Part { session, number, options, interrupts } => {
                if space.interrupts.get(&session).copied().unwrap_or_default() != interrupts {
                    return Err(Error::Interrupted(size));
                }
                space.must_be_open(options.unless_final.as_ref())?;
                if options.offset.is_some_and(|offset| offset > SIZE_MAX - size) {
                    return Err(invalid(Argument::Offset));
                }
                let wants = options.want_sha256 || options.expected.sha256.is_some() || expected.sha256.is_some();
                let sha256 = wants.then_some(sha256);
                if let Some(there) = space.parts.get(&(session.clone(), number)) {
                    let is_same = options.if_exists == IfExists::SameContentOk && there.bytes == bytes;
                    let known = there.receipt.sha256.clone().or(sha256);
                    let receipt = wit::TempPart { replayed: true, is_prefix, sha256: known, ..there.receipt.clone() };
                    return if is_same { Ok(wit::Receipt::TempPart(receipt)) } else { Err(Error::Conflict) };
                }
                let temp_key = format!("{session}/{number}/{}", memory::token());
                let (offset, replayed) = (options.offset, false);
                let receipt =
                    wit::TempPart { temp_key, part_number: number, size, sha256, offset, replayed, is_prefix };
                let kept = wit::TempPart { is_prefix: false, ..receipt.clone() };
                space.parts.insert((session, number), Part { receipt: kept, bytes });
                Ok(wit::Receipt::TempPart(receipt))
            }
            Target::Final { id, options } => {
                publish(space, &writer.scope, &id, options, bytes, sha256).map(wit::Receipt::StoredObject)
            }
        });
        Ok(stored?)
    }
}

/// Makes a final object.
fn publish(
    space: &mut Space,
    scope: &str,
    id: &str,
    options: wit::FinalOptions,
    bytes: Arc<Vec<u8>>,
    sha256: Vec<u8>,
) -> Result<wit::StoredObject, Error> {
    match space.object(id) {
        Ok(there) if options.if_exists == IfExists::SameContentOk && there.bytes == bytes => {
            return Ok(wit::StoredObject { replayed: true, ..there.receipt.clone() });
        }
        Ok(_) => return Err(Error::Conflict),
        Err(Error::NotFound) => {}
        Err(error) => return Err(error),
    }
    let receipt = wit::StoredObject {
        file_id: id.to_owned(),
        bucket: BUCKET.to_owned(),
        key: format!("{scope}/{id}"),
        size: bytes.len() as u64,
        sha256,
        content_type: options.content_type,
        metadata: options.metadata,
        created_at: memory::now(),
        replayed: false,
    };
    space.ids.insert(id.to_owned(), Id::Object(Object { receipt: receipt.clone(), bytes }));
    Ok(receipt)
}

/// Returns the file id of an object of a scope.
fn id_of<'a>(scope: &str, bucket: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(scope)?.strip_prefix('/').filter(|_| bucket == BUCKET)
}

/// Finds parts by their keys, each once.
fn parts_of(space: &Space, keys: &[String], allowed: std::ops::RangeInclusive<usize>) -> Result<Vec<Part>, Error> {
    keys.iter().try_for_each(|key| memory::parse_key(key).map(drop))?;
    let mut sorted = keys.to_vec();
    sorted.sort();
    sorted.dedup();
    if !allowed.contains(&keys.len()) || sorted.len() < keys.len() {
        return Err(invalid(Argument::Parts));
    }
    keys.iter().map(|key| space.part(key).cloned()).collect()
}

fn joined(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes.iter().copied()).collect()
}

fn remove(space: &mut Space, parts: &[Part]) {
    space.parts.retain(|_, part| parts.iter().all(|gone| gone.receipt.temp_key != part.receipt.temp_key));
}

impl wit::Host for State {
    async fn open(&mut self) -> wasmtime::Result<Resource<Handle>> {
        Ok(self.table.push(Handle(String::new()))?)
    }

    async fn error_of(&mut self, error: Resource<wasmtime_wasi::p2::IoError>) -> wasmtime::Result<Option<Error>> {
        Ok(self.table.get(&error)?.downcast_ref::<Failed>().map(|failed| failed.0.clone()))
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<Error> {
        match failure {
            Failure::Error(error) => Ok(error),
            Failure::Trap(error) => Err(error),
        }
    }
}

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

impl wit::HostFinalReader for State {
    async fn receipt(&mut self, reader: Resource<Object>) -> wasmtime::Result<wit::StoredObject> {
        Ok(self.table.get(&reader)?.receipt.clone())
    }

    async fn stream(
        &mut self,
        reader: Resource<Object>,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let bytes = self.table.get(&reader)?.bytes.clone();
        self.stream(&bytes, range)
    }

    async fn drop(&mut self, reader: Resource<Object>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl wit::HostWriter for State {
    async fn pull(&mut self, writer: Resource<MemoryWriter>, content: Resource<DynInputStream>) -> Result<u64> {
        let content = self.take(content);
        let writer = self.table.get(&writer)?;
        writer.must_have_no_sink()?;
        match content {
            Ok(content) => writer.pull(content).await,
            Err(failure) => {
                writer.content().failed.get_or_insert(invalid(Argument::Content));
                Err(failure)
            }
        }
    }

    async fn sink(&mut self, writer: Resource<MemoryWriter>) -> Result<Resource<DynOutputStream>> {
        self.table.get(&writer)?.must_have_no_sink()?;
        let content = self.table.get(&writer)?;
        content.content().failed.clone().map_or(Ok(()), Err)?;
        let sink: DynOutputStream = Box::new(content.sink());
        Ok(self.table.push_child(sink, &writer)?)
    }

    async fn finish(&mut self, writer: Resource<MemoryWriter>, expected: wit::Expected) -> Result<wit::Receipt> {
        self.table.get(&writer)?.must_have_no_sink()?;
        let writer = self.table.delete(writer)?;
        self.commit(writer, expected, false)
    }

    async fn drop(&mut self, writer: Resource<MemoryWriter>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
