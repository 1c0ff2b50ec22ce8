//! Writers: uploads that the guest feeds, by pulls or through a sink.
//!
//! Invariants: at most one write is in flight, and an operation begins only after that write has ended, so bytes that a
//! sink accepted are in the content even if the sink is dropped. After the first failure every operation fails with it.

use super::{Permit, Sink};
use crate::fault::Fault;
use bytes::Bytes;
use portico_store::stream::ByteStream;
use portico_store::{Error, Expected, FinalReceipt, PartReceipt};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use wasmtime_wasi::runtime::poll_noop;

/// An upload of either kind.
pub(crate) enum AnyUpload {
    /// An upload of a part.
    Part(Box<portico_store::Upload<PartReceipt>>),
    /// An upload of a final object.
    Final(Box<portico_store::Upload<FinalReceipt>>),
}

/// The receipt of an upload of either kind.
pub(crate) enum Receipt {
    /// The receipt of a part.
    Part(PartReceipt),
    /// The receipt of a final object.
    Final(FinalReceipt),
}

impl AnyUpload {
    async fn write(&mut self, chunk: Bytes) -> portico_store::Result<()> {
        match self {
            AnyUpload::Part(upload) => upload.write(chunk).await,
            AnyUpload::Final(upload) => upload.write(chunk).await,
        }
    }

    async fn pull(&mut self, source: &mut dyn ByteStream) -> portico_store::Result<u64> {
        match self {
            AnyUpload::Part(upload) => upload.pull(source).await,
            AnyUpload::Final(upload) => upload.pull(source).await,
        }
    }

    fn received(&self) -> u64 {
        match self {
            AnyUpload::Part(upload) => upload.received(),
            AnyUpload::Final(upload) => upload.received(),
        }
    }

    async fn finish(self, expected: Expected) -> portico_store::Result<Receipt> {
        match self {
            AnyUpload::Part(upload) => upload.finish(expected).await.map(Receipt::Part),
            AnyUpload::Final(upload) => upload.finish(expected).await.map(Receipt::Final),
        }
    }
}

/// The resource behind a guest's `writer`. Dropping it discards the content.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct GuestWriter {
    upload: SharedUpload,
    _permit: Permit,
}

impl GuestWriter {
    pub(crate) fn new(upload: AnyUpload, permit: Permit) -> Self {
        GuestWriter { upload: SharedUpload(Arc::new(Mutex::new(State::Open(upload)))), _permit: permit }
    }

    /// Whether a sink or a [`GuestWriter::share`] of this writer exists.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.upload.0) > 1
    }

    /// Opens a sink that appends to this writer.
    pub(crate) fn sink(&self) -> Result<Sink, Fault> {
        match &*self.upload.state() {
            State::Failed(fault) => Err(fault.clone()),
            _ => Ok(Sink::new(self.upload.clone())),
        }
    }

    /// Returns the upload itself, for a pull that cannot borrow this writer.
    #[cfg(feature = "p3")]
    pub(crate) fn share(&self) -> SharedUpload {
        self.upload.clone()
    }

    /// As [`SharedUpload::pull`].
    pub(crate) async fn pull(&mut self, source: &mut dyn ByteStream) -> Result<u64, Fault> {
        self.upload.pull(source).await
    }

    /// Fails this writer for good, unless it has failed before. Returns the failure.
    pub(crate) async fn fail(&mut self, error: Error) -> Fault {
        match self.upload.take().await {
            Ok(_) => {
                let fault = Fault::from(error);
                *self.upload.state() = State::Failed(fault.clone());
                fault
            }
            Err(fault) => fault,
        }
    }

    /// Checks the content and makes it visible.
    pub(crate) async fn finish(self, expected: Expected) -> Result<Receipt, Fault> {
        Ok(self.upload.take().await?.finish(expected).await?)
    }
}

/// The upload of a writer, shared with its sink.
#[derive(Clone)]
pub(crate) struct SharedUpload(Arc<Mutex<State>>);

type Write = Pin<Box<dyn Future<Output = (AnyUpload, portico_store::Result<()>)> + Send>>;

enum State {
    /// No write is in flight.
    Open(AnyUpload),
    /// A write is in flight.
    Writing(Write),
    /// An operation failed.
    Failed(Fault),
    /// An operation owns the upload. If the operation was dropped halfway, so was the upload.
    Taken,
}

impl SharedUpload {
    /// Locks the state. The lock is never contended: a writer and its sink are not used at the same time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the write in flight. Ready when no write is.
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
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
    pub(crate) async fn written(&self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_written(cx)).await
    }

    /// As [`SharedUpload::written`], without waiting: `None` while a write is in flight.
    pub(crate) fn try_written(&self) -> Option<Result<(), Fault>> {
        poll_noop(pin!(self.written()))
    }

    /// Begins to write a chunk. Traps while another write is in flight.
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

    /// Pulls a source to its end and appends it. Returns the number of bytes. A pull whose future is dropped fails the
    /// upload.
    pub(crate) async fn pull(&self, source: &mut dyn ByteStream) -> Result<u64, Fault> {
        let mut taken = Taken { upload: Some(self.take().await?), shared: self };
        let Some(upload) = &mut taken.upload else { unreachable!("only the end of the pull takes the upload") };
        let pulled = upload.pull(source).await.map_err(Fault::from);
        match (&pulled, taken.upload.take()) {
            (Ok(_), Some(upload)) => *self.state() = State::Open(upload),
            (Err(fault), _) => *self.state() = State::Failed(fault.clone()),
            (Ok(_), None) => unreachable!("only the end of the pull takes the upload"),
        }
        pulled
    }

    async fn take(&self) -> Result<AnyUpload, Fault> {
        self.written().await?;
        match std::mem::replace(&mut *self.state(), State::Taken) {
            State::Open(upload) => Ok(upload),
            _ => Err(Error::internal("an operation on this writer was abandoned").into()),
        }
    }
}

/// An upload that a pull owns. Dropped with the upload inside, it fails the upload.
struct Taken<'a> {
    upload: Option<AnyUpload>,
    shared: &'a SharedUpload,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            let interrupted = Error::Interrupted { received: upload.received() };
            *self.shared.state() = State::Failed(Fault::from(interrupted));
        }
    }
}
