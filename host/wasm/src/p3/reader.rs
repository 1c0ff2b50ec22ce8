//! Stored content as a `stream` with its final status, and the resource `final-reader`.

use super::host::{open, status};
use super::source::Status;
use super::{convert, wit};
use crate::StorageCtxView;
use crate::storage::reader::FinalReader;
use crate::storage::{Result, Storage};
use crate::streams::Permit;
use bytes::Bytes;
use portico_store::{Error, stream::ByteStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Destination, FutureReader, Resource, StreamProducer, StreamReader, StreamResult};

/// A stream and its final status.
pub(super) type Content = (StreamReader<u8>, Status);

/// Hands a backend's stream to the guest.
pub(super) fn push<T: Send>(
    accessor: &Accessor<T, Storage>,
    stream: Box<dyn ByteStream>,
    permit: Permit,
) -> Result<Content> {
    accessor.with(|mut access| {
        let (resolve, verdict) = oneshot::channel();
        let stored = Stored { state: State::Idle(stream), delivered: 0, resolve: Some(resolve), _permit: permit };
        let stream = StreamReader::new(&mut access, stored)?;
        Ok((stream, FutureReader::new(&mut access, verdict)?))
    })
}

/// The producer of a stream: passes on the chunks of a backend without a copy of its own. Holds at most one.
struct Stored {
    state: State,
    /// Bytes passed on.
    delivered: u64,
    /// Takes the final status; absent once it is known.
    resolve: Option<oneshot::Sender<Result<(), wit::Error>>>,
    _permit: Permit,
}

type Next = Pin<Box<dyn Future<Output = (Box<dyn ByteStream>, portico_store::Result<Option<Bytes>>)> + Send>>;

enum State {
    /// No chunk is on its way.
    Idle(Box<dyn ByteStream>),
    /// The backend delivers a chunk.
    Waiting(Next),
    /// A chunk has come that nobody has read.
    Ready(Box<dyn ByteStream>, Bytes),
    /// The stream has ended.
    Ended,
}

impl Stored {
    fn resolve(&mut self, result: portico_store::Result<()>) {
        if let Some(resolve) = self.resolve.take() {
            // A guest that dropped the future does not want the status.
            let _ = resolve.send(status(result));
        }
    }

    /// Waits for the next chunk. False at the end and after a failure.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Idle(mut stream) => State::Waiting(Box::pin(async move {
                    let next = stream.next().await;
                    (stream, next)
                })),
                State::Waiting(mut next) => match next.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Waiting(next);
                        return Poll::Pending;
                    }
                    Poll::Ready((stream, Ok(Some(chunk)))) => State::Ready(stream, chunk),
                    Poll::Ready((_, end)) => {
                        self.resolve(end.map(drop));
                        return Poll::Ready(false);
                    }
                },
                ready @ State::Ready(..) => {
                    self.state = ready;
                    return Poll::Ready(true);
                }
                State::Ended => return Poll::Ready(false),
            };
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let received = self.delivered;
        self.resolve(Err(Error::Interrupted { received }));
    }
}

impl<D> StreamProducer<D> for Stored {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.poll_chunk(cx) {
            // The chunk that is on its way waits for the next read.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            chunk => {
                if !ready!(chunk) {
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        // A read of nothing only asks whether there is something.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if let State::Ready(stream, chunk) = std::mem::replace(&mut self.state, State::Ended) {
            self.delivered += chunk.len() as u64;
            self.state = State::Idle(stream);
            destination.set_buffer(chunk);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl wit::HostFinalReader for StorageCtxView<'_> {
    fn receipt(&mut self, reader: Resource<FinalReader>) -> wasmtime::Result<wit::StoredObject> {
        Ok(self.table.get(&reader)?.object.receipt().clone().into())
    }

    fn drop(&mut self, reader: Resource<FinalReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl<T: Send + 'static> wit::HostFinalReaderWithStore<T> for Storage {
    async fn stream(
        accessor: &Accessor<T, Self>,
        reader: Resource<FinalReader>,
        range: Option<wit::ByteRange>,
    ) -> Result<Content> {
        let (object, _call) = accessor.with(|mut access| -> Result<_> {
            let view = access.get();
            Ok((view.table.get(&reader)?.object.clone(), view.ctx.call()?))
        })?;
        let permit = open(accessor)?;
        let stream = object.stream(convert::range(range)).await?;
        push(accessor, stream, permit)
    }
}
