//! Stored content as an `input-stream`.

use super::Permit;
use crate::fault::Fault;
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::{Result, stream::ByteStream};
use std::pin::pin;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::poll_noop;

/// A backend's stream, as a guest reads it. Holds at most one chunk; the backend reads ahead. Reports a failure once,
/// which ends the stream. Drops the backend's stream at its end, its failure, or with itself.
pub(crate) struct StoredStream {
    state: State,
    chunk: Bytes,
    _permit: Permit,
}

enum State {
    Open(Box<dyn ByteStream>),
    Failed(Fault),
    Closed,
}

impl StoredStream {
    pub(crate) fn new(stream: Box<dyn ByteStream>, permit: Permit) -> Self {
        StoredStream { state: State::Open(stream), chunk: Bytes::new(), _permit: permit }
    }

    fn arrived(&mut self, next: Result<Option<Bytes>>) {
        match next {
            Ok(Some(chunk)) => self.chunk = chunk,
            Ok(None) => self.state = State::Closed,
            Err(error) => self.state = State::Failed(error.into()),
        }
    }
}

#[async_trait]
impl Pollable for StoredStream {
    async fn ready(&mut self) {
        if self.chunk.is_empty()
            && let State::Open(stream) = &mut self.state
        {
            let next = stream.next().await;
            self.arrived(next);
        }
    }
}

#[async_trait]
impl InputStream for StoredStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        // A guest may read without ever polling. Dropping `ready` halfway loses nothing.
        poll_noop(pin!(self.ready()));
        if !self.chunk.is_empty() {
            return Ok(self.chunk.split_to(size.min(self.chunk.len())));
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(stream) => {
                self.state = State::Open(stream);
                Ok(Bytes::new())
            }
            State::Failed(fault) => Err(StreamError::LastOperationFailed(wasmtime::Error::new(fault))),
            State::Closed => Err(StreamError::Closed),
        }
    }
}
