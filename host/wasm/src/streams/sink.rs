//! The sink of a writer, as an `output-stream`.

use super::SharedUpload;
use crate::fault::Fault;
use crate::limits::SINK_WRITE;
use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// A stream that appends to a writer. At most one write is in flight, and no other is permitted meanwhile. Reports a
/// failure once and is closed then; the writer continues to report it.
pub(crate) struct Sink {
    upload: SharedUpload,
    reported: bool,
}

impl Sink {
    pub(crate) fn new(upload: SharedUpload) -> Self {
        Sink { upload, reported: false }
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
        // The next operation reports a failure.
        let _ = self.upload.written().await;
    }
}

#[async_trait]
impl OutputStream for Sink {
    fn check_write(&mut self) -> StreamResult<usize> {
        match self.upload.try_written() {
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
        self.upload.write(bytes).map_err(StreamError::Trap)?;
        // Most writes finish at once; then the next one need not wait. The next operation reports a failure.
        let _ = self.upload.try_written();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // A write in flight delays the next permit, which is all that a flush requires.
        match self.upload.try_written() {
            Some(Err(fault)) => Err(self.report(fault)),
            _ => Ok(()),
        }
    }
}
