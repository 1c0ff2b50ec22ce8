//! Stored content as an `input-stream`.

use super::Place;
use crate::fault::Fault;
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::{Result, stream::ByteStream};
use std::pin::pin;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::poll_noop;

/// A stream of a backend, as a guest reads it. It holds one chunk at most; reading ahead is the backend's business.
/// A failure is answered once and ends the stream. The backend's stream goes with its end, its failure, or this.
pub(crate) struct Reader {
    state: State,
    chunk: Bytes,
    _place: Place,
}

enum State {
    Open(Box<dyn ByteStream>),
    Failed(Fault),
    Closed,
}

impl Reader {
    pub(crate) fn new(stream: Box<dyn ByteStream>, place: Place) -> Self {
        Reader { state: State::Open(stream), chunk: Bytes::new(), _place: place }
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
impl Pollable for Reader {
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
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        // So that a guest that reads without ever polling gets on, too. Dropping `ready` halfway loses nothing.
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
