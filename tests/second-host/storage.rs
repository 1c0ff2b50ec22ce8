//! The interface `portico:storage/storage`, over the store in memory.

use crate::bindings::wit::{self, Argument, Error, IfExists};
use crate::memory::{self, BUCKET, Id, OBJECT_MAX, Object, Part, SIZE_MAX, Space};
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

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

pub(crate) fn invalid(argument: Argument) -> Error {
    Error::InvalidArgument(argument)
}

impl State {
    pub(crate) fn path_of(&self, store: &Resource<Handle>) -> Result<String> {
        Ok(self.table.get(store)?.0.clone())
    }

    /// Runs a step on the scope of a store, alone.
    pub(crate) fn with<T>(
        &self,
        store: &Resource<Handle>,
        step: impl FnOnce(&mut Space) -> Result<T, Error>,
    ) -> Result<T> {
        Ok(self.memory.with(&self.path_of(store)?, step)?)
    }

    pub(crate) fn take(&mut self, content: Resource<DynInputStream>) -> Result<DynInputStream> {
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

    pub(crate) fn stream(&mut self, bytes: &[u8], range: Option<wit::ByteRange>) -> Result<Resource<DynInputStream>> {
        let bytes = Bytes::copy_from_slice(&bytes[memory::slice(bytes, range)?]);
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(bytes));
        Ok(self.table.push(stream)?)
    }

    pub(crate) fn part_writer(
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

    pub(crate) fn final_writer(
        &self,
        store: &Resource<Handle>,
        id: String,
        options: wit::FinalOptions,
    ) -> Result<MemoryWriter> {
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
    pub(crate) fn commit(
        &self,
        writer: MemoryWriter,
        expected: wit::Expected,
        is_prefix: bool,
    ) -> Result<wit::Receipt> {
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
pub(crate) fn publish(
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
pub(crate) fn id_of<'a>(scope: &str, bucket: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(scope)?.strip_prefix('/').filter(|_| bucket == BUCKET)
}

/// Finds parts by their keys, each once.
pub(crate) fn parts_of(
    space: &Space,
    keys: &[String],
    allowed: std::ops::RangeInclusive<usize>,
) -> Result<Vec<Part>, Error> {
    keys.iter().try_for_each(|key| memory::parse_key(key).map(drop))?;
    let mut sorted = keys.to_vec();
    sorted.sort();
    sorted.dedup();
    if !allowed.contains(&keys.len()) || sorted.len() < keys.len() {
        return Err(invalid(Argument::Parts));
    }
    keys.iter().map(|key| space.part(key).cloned()).collect()
}

pub(crate) fn joined(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes.iter().copied()).collect()
}

pub(crate) fn remove(space: &mut Space, parts: &[Part]) {
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
