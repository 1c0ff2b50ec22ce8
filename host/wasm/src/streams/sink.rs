//! The sink of a writer, as an `output-stream`.

use super::Content;
use crate::fault::Fault;
use crate::limits::SINK_WRITE;
use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Appends to a writer. One write is in flight at most, and while it is, no other is permitted. A failure is
/// answered once, and then the stream is closed; the writer goes on answering it.
pub(crate) struct Sink {
    content: Content,
    reported: bool,
}

impl Sink {
    pub(crate) fn new(content: Content) -> Self {
        Sink { content, reported: false }
    }

    fn report(&mut self, fault: Fault) -> StreamError {
        if std::mem::replace(&mut self.reported, true) {
            StreamError::Closed
        } else {
            StreamError::LastOperationFailed(wasmtime::Error::new(fault))
        }
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {
        // A failure is told by the operation that follows.
        let _ = self.content.settled().await;
    }
}

#[async_trait]
impl OutputStream for Sink {
    fn check_write(&mut self) -> StreamResult<usize> {
        match self.content.try_settled() {
            None => Ok(0),
            Some(Ok(())) => Ok(SINK_WRITE),
            Some(Err(fault)) => Err(self.report(fault)),
        }
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.check_write()? {
            return Err(StreamError::trap("a write into a sink beyond its permit"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.content.write(bytes).map_err(StreamError::Trap)?;
        // Most writes are taken at once; then the next permit needs no wait. A failure is told by what follows.
        let _ = self.content.try_settled();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What is in flight holds back the next permit, which is all that a flush asks for.
        match self.content.try_settled() {
            Some(Err(fault)) => Err(self.report(fault)),
            _ => Ok(()),
        }
    }
}
