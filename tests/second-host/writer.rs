//! Content in progress.

use crate::bindings::wit::{self, Error};
use crate::memory::{Memory, SIZE_MAX};
use crate::storage::{Failed, Failure};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime_wasi::p2::{DynInputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes that one write or read moves.
const CHUNK: usize = 64 << 10;

/// Where content goes when it is complete.
#[derive(Clone)]
pub(crate) enum Target {
    Part { session: String, number: u32, options: wit::PartOptions, interrupts: u64 },
    Final { id: String, options: wit::FinalOptions },
}

impl Target {
    pub(crate) fn expected(&self) -> &wit::Expected {
        match self {
            Target::Part { options, .. } => &options.expected,
            Target::Final { options, .. } => &options.expected,
        }
    }

    fn limit(&self) -> Option<u64> {
        match self {
            Target::Part { options, .. } => options.limit,
            Target::Final { .. } => None,
        }
    }
}

/// A writer of a guest.
pub struct MemoryWriter {
    pub(crate) scope: String,
    pub(crate) target: Target,
    memory: Memory,
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// The first failure, which every later operation reports again.
    pub(crate) failed: Option<Error>,
    size: Option<u64>,
    limit: Option<u64>,
}

impl Content {
    fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.bytes.extend_from_slice(bytes);
        let size = self.bytes.len() as u64;
        let failed = match (self.size, self.limit) {
            (Some(expected), _) if size > expected => {
                Some(Error::SizeMismatch(wit::SizeMismatch { expected, actual: expected + 1 }))
            }
            (_, Some(limit)) if size > limit => Some(Error::TooLarge(limit)),
            _ => None,
        };
        self.failed.clone_from(&failed);
        failed.map_or(Ok(()), Err)
    }
}

impl MemoryWriter {
    pub(crate) fn new(memory: &Memory, scope: &str, target: Target) -> Self {
        let (size, limit) = (target.expected().size, target.limit().filter(|limit| *limit <= SIZE_MAX));
        let content = Content { size, limit, ..Content::default() };
        MemoryWriter { scope: scope.to_owned(), target, memory: memory.clone(), content: Arc::new(Mutex::new(content)) }
    }

    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails while a sink holds the content too.
    pub(crate) fn must_have_no_sink(&self) -> Result<(), Failure> {
        match Arc::strong_count(&self.content) {
            1 => Ok(()),
            _ => Err(Failure::Trap(wasmtime::format_err!("the sink of the writer exists"))),
        }
    }

    pub(crate) fn sink(&self) -> Sink {
        Sink { content: self.content.clone(), reported: false }
    }

    /// Fails once the session was interrupted.
    fn must_go_on(&self) -> Result<(), Error> {
        let Target::Part { session, interrupts, .. } = &self.target else { return Ok(()) };
        let now = self.memory.with(&self.scope, |space| space.interrupts.get(session).copied().unwrap_or_default());
        if now == *interrupts { Ok(()) } else { Err(Error::Interrupted(self.content().bytes.len() as u64)) }
    }

    /// Pulls a stream to its end.
    pub(crate) async fn pull(&self, mut source: DynInputStream) -> Result<u64, Failure> {
        let before = self.content().bytes.len();
        loop {
            // A failed writer reads nothing more.
            self.content().add(&[])?;
            if let Err(error) = self.must_go_on() {
                self.content().failed = Some(error.clone());
                return Err(error.into());
            }
            match source.blocking_read(CHUNK).await {
                Ok(bytes) => self.content().add(&bytes)?,
                Err(StreamError::Closed) => return Ok((self.content().bytes.len() - before) as u64),
                Err(StreamError::LastOperationFailed(_)) => {
                    let mut content = self.content();
                    let error = Error::Interrupted(content.bytes.len() as u64);
                    content.failed = Some(error.clone());
                    return Err(error.into());
                }
                Err(StreamError::Trap(error)) => return Err(Failure::Trap(error)),
            }
        }
    }
}

/// The sink of a writer. Reports a failure once.
pub(crate) struct Sink {
    content: Arc<Mutex<Content>>,
    reported: bool,
}

impl Sink {
    fn add(&mut self, bytes: &[u8]) -> StreamResult<()> {
        let added = self.content.lock().unwrap_or_else(PoisonError::into_inner).add(bytes);
        added.map_err(|error| match std::mem::replace(&mut self.reported, true) {
            true => StreamError::Closed,
            false => StreamError::LastOperationFailed(wasmtime::Error::new(Failed(error))),
        })
    }
}

#[async_trait::async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

impl OutputStream for Sink {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.add(&[]).map(|()| CHUNK)
    }

    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        if bytes.len() > CHUNK {
            return Err(StreamError::Trap(wasmtime::format_err!("a write beyond its permit")));
        }
        // The next operation reports a failure.
        let _ = self.content.lock().unwrap_or_else(PoisonError::into_inner).add(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.add(&[])
    }
}
