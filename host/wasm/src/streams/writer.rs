//! A writer: an upload that the guest feeds, by pulls or through a sink.
//!
//! Invariants: at most one write is in flight, and an operation begins only when it has settled, so bytes that a
//! sink accepted are in the content even if the sink is gone. After the first failure each operation answers it.

use super::{Place, Pull, Sink};
use crate::fault::Fault;
use bytes::Bytes;
use portico_store::{Expected, FinalReceipt, PartReceipt};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use wasmtime_wasi::runtime::poll_noop;

/// An upload of either kind.
pub(crate) enum Upload {
    /// Of a part.
    Part(portico_store::Upload<PartReceipt>),
    /// Of a final object.
    Final(portico_store::Upload<FinalReceipt>),
}

/// What an upload of either kind made.
pub(crate) enum Receipt {
    /// A part.
    Part(PartReceipt),
    /// A final object.
    Final(FinalReceipt),
}

impl Upload {
    async fn write(&mut self, chunk: Bytes) -> portico_store::Result<()> {
        match self {
            Upload::Part(upload) => upload.write(chunk).await,
            Upload::Final(upload) => upload.write(chunk).await,
        }
    }

    async fn pull(&mut self, source: &mut Pull) -> portico_store::Result<u64> {
        match self {
            Upload::Part(upload) => upload.pull(source).await,
            Upload::Final(upload) => upload.pull(source).await,
        }
    }

    async fn finish(self, expected: Expected) -> portico_store::Result<Receipt> {
        match self {
            Upload::Part(upload) => upload.finish(expected).await.map(Receipt::Part),
            Upload::Final(upload) => upload.finish(expected).await.map(Receipt::Final),
        }
    }
}

/// The resource behind a guest's `writer`. Dropping it discards what was written.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct Writer {
    content: Content,
    _place: Place,
}

impl Writer {
    pub(crate) fn new(upload: Upload, place: Place) -> Self {
        Writer { content: Content(Arc::new(Mutex::new(State::Open(upload)))), _place: place }
    }

    /// Whether a sink of this writer is alive.
    pub(crate) fn has_sink(&self) -> bool {
        Arc::strong_count(&self.content.0) > 1
    }

    /// A sink that appends to this writer.
    pub(crate) fn sink(&self) -> Result<Sink, Fault> {
        match &*self.content.state() {
            State::Failed(fault) => Err(fault.clone()),
            _ => Ok(Sink::new(self.content.clone())),
        }
    }

    /// Appends a source to its end; answers how many bytes came.
    pub(crate) async fn pull(&mut self, mut source: Pull) -> wasmtime::Result<Result<u64, Fault>> {
        let mut upload = match self.content.take().await {
            Ok(upload) => upload,
            Err(fault) => return Ok(Err(fault)),
        };
        let pulled = upload.pull(&mut source).await;
        let pulled = source.outcome(pulled)?.map_err(Fault::from);
        *self.content.state() = match &pulled {
            Ok(_) => State::Open(upload),
            Err(fault) => State::Failed(fault.clone()),
        };
        Ok(pulled)
    }

    /// Fails this writer for good, unless it has failed before; answers what it fails with.
    pub(crate) async fn fail(&mut self, error: portico_store::Error) -> Fault {
        match self.content.take().await {
            Ok(_) => {
                let fault = Fault::from(error);
                *self.content.state() = State::Failed(fault.clone());
                fault
            }
            Err(fault) => fault,
        }
    }

    /// Checks the content and makes it visible.
    pub(crate) async fn finish(self, expected: Expected) -> Result<Receipt, Fault> {
        Ok(self.content.take().await?.finish(expected).await?)
    }
}

/// The content of a writer, shared with its sink.
#[derive(Clone)]
pub(crate) struct Content(Arc<Mutex<State>>);

type Write = Pin<Box<dyn Future<Output = (Upload, portico_store::Result<()>)> + Send>>;

enum State {
    /// Nothing is in flight.
    Open(Upload),
    /// Accepted bytes are on their way.
    Writing(Write),
    /// An operation failed.
    Failed(Fault),
    /// An operation has the upload. If that was dropped halfway, so was the upload.
    Taken,
}

impl Content {
    /// Whoever polls a write while holding this lock is the only user of the content, so nobody waits for it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives the write in flight. Ready when there is none.
    fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut state = self.state();
        if let State::Writing(write) = &mut *state {
            let (upload, written) = std::task::ready!(write.as_mut().poll(cx));
            *state = match written {
                Ok(()) => State::Open(upload),
                Err(error) => State::Failed(error.into()),
            };
        }
        Poll::Ready(match &*state {
            State::Failed(fault) => Err(fault.clone()),
            _ => Ok(()),
        })
    }

    /// Waits until no write is in flight.
    pub(crate) async fn settled(&self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_settled(cx)).await
    }

    /// As [`Content::settled`], without waiting: `None` while a write is in flight.
    pub(crate) fn try_settled(&self) -> Option<Result<(), Fault>> {
        poll_noop(pin!(self.settled()))
    }

    /// Begins to write a chunk. Only when nothing is in flight.
    pub(crate) fn write(&self, chunk: Bytes) -> wasmtime::Result<()> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Open(mut upload) => {
                *state = State::Writing(Box::pin(async move {
                    let written = upload.write(chunk).await;
                    (upload, written)
                }));
                Ok(())
            }
            other => {
                *state = other;
                Err(wasmtime::format_err!("a write into a sink that did not permit one"))
            }
        }
    }

    async fn take(&self) -> Result<Upload, Fault> {
        self.settled().await?;
        match std::mem::replace(&mut *self.state(), State::Taken) {
            State::Open(upload) => Ok(upload),
            _ => Err(portico_store::Error::internal("an operation on this writer was abandoned").into()),
        }
    }
}
