//! Sources of pattern bytes that end as they are told.

use crate::bindings::portico::conformance::fixture::Ending;
use crate::board::Board;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

#[path = "../../../guest/conformance/src/pattern.rs"]
mod pattern;

pub(crate) use pattern::fill;

pub(crate) struct Source {
    pub(crate) board: Arc<Board>,
    pub(crate) seed: u32,
    pub(crate) at: u64,
    pub(crate) size: Option<u64>,
    pub(crate) chunk: u32,
    /// `None` once it has failed.
    pub(crate) ending: Option<Ending>,
}

impl Source {
    fn rest(&self) -> u64 {
        self.size.map_or(u64::MAX, |size| size - self.at)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.board.source_dropped(self.seed);
    }
}

#[async_trait]
impl Pollable for Source {
    async fn ready(&mut self) {
        if self.rest() == 0 {
            self.board.source_ended(self.seed);
            if self.ending == Some(Ending::Stall) {
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl InputStream for Source {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let count = self.rest().min(self.chunk.into()).min(size as u64);
        if self.rest() > 0 {
            let mut chunk = BytesMut::zeroed(count as usize);
            fill(self.seed, self.at, &mut chunk);
            self.at += count;
            return Ok(chunk.freeze());
        }
        self.board.source_ended(self.seed);
        match self.ending {
            Some(Ending::Stall) => Ok(Bytes::new()),
            Some(Ending::Fail) => {
                self.ending = None;
                Err(StreamError::LastOperationFailed(wasmtime::format_err!("the source was told to fail")))
            }
            Some(Ending::Close) | None => Err(StreamError::Closed),
        }
    }
}
