//! Host pull: the content of a put, read from the stream that the guest handed over.

use crate::limits::PULL_READ;
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::{Error, Result, stream::ByteStream};
use wasmtime_wasi::p2::{DynInputStream, StreamError};

/// A guest's stream as a source. Passes frames on without a copy.
pub(crate) struct Pull {
    stream: DynInputStream,
    trap: Option<wasmtime::Error>,
    is_stall: fn(&wasmtime::Error) -> bool,
}

impl Pull {
    pub(crate) fn new(stream: DynInputStream) -> Self {
        Pull { stream, trap: None, is_stall: |_| false }
    }

    /// Takes the errors that `is_stall` recognises for a stall.
    pub(crate) fn with_stall(mut self, is_stall: fn(&wasmtime::Error) -> bool) -> Self {
        self.is_stall = is_stall;
        self
    }

    /// Returns the result of an operation on this source, or the trap that the source requested.
    pub(crate) fn outcome<T>(self, result: T) -> wasmtime::Result<T> {
        match self.trap {
            Some(trap) => Err(trap),
            None => Ok(result),
        }
    }
}

/// Reports whether a source failed because it stalled, by an error of the operating system.
fn is_time_out(cause: &wasmtime::Error) -> bool {
    cause.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut)
}

#[async_trait]
impl ByteStream for Pull {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        // Dropping this future loses nothing: `ready` takes no bytes, and `read` does not wait.
        loop {
            self.stream.ready().await;
            match self.stream.read(PULL_READ) {
                // A stream may be ready too early. Yield, so that such a stream does not monopolize this thread.
                Ok(chunk) if chunk.is_empty() => tokio::task::yield_now().await,
                Ok(chunk) => return Ok(Some(chunk)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(cause)) => {
                    tracing::debug!("the source of a put failed: {cause:#}");
                    let stalled = is_time_out(&cause) || (self.is_stall)(&cause);
                    let received = 0;
                    return Err(if stalled { Error::Stalled { received } } else { Error::Interrupted { received } });
                }
                Err(StreamError::Trap(cause)) => {
                    self.trap = Some(cause);
                    return Err(Error::Interrupted { received: 0 });
                }
            }
        }
    }
}
