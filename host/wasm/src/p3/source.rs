//! Host pull: the content of a put, taken from a `stream` and judged by the `future` beside it.
//!
//! A task of the wasmtime store moves chunks from the stream into a short queue, and the put takes them out. The queue
//! delays the writer of the stream when the backend is slower. wasmtime can drop that task with its store at any time: then
//! the content is cut off.

use super::wit;
use crate::limits::{PULL_QUEUE, PULL_READ};
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::{Error, Result, stream::ByteStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::component::{FutureConsumer, FutureReader, Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};

/// The final status of a stream that the guest handed over.
pub(super) type Status = FutureReader<Result<(), wit::Error>>;

/// A guest's stream as a source. Its end is an end only after the status was `ok`.
pub(super) struct Pull {
    chunks: mpsc::Receiver<Bytes>,
    verdict: Verdict,
}

/// What is known of the status.
enum Verdict {
    /// The status has not come.
    Open(oneshot::Receiver<Result<(), wit::Error>>),
    /// The status was `ok`.
    Whole,
    /// The status was an error, or was dropped.
    Failed(Error),
}

impl Pull {
    /// Takes over a stream and its status. Both are consumed whatever becomes of the pull: a stream whose pull is dropped
    /// is closed at its next write.
    pub(super) fn take<S: AsContextMut>(
        mut store: S,
        content: StreamReader<u8>,
        status: Status,
    ) -> wasmtime::Result<Self> {
        let (feed, chunks) = mpsc::channel(PULL_QUEUE);
        let (resolve, verdict) = oneshot::channel();
        content.pipe(&mut store, Feed(PollSender::new(feed)))?;
        status.pipe(&mut store, Resolve(Some(resolve)))?;
        Ok(Pull { chunks, verdict: Verdict::Open(verdict) })
    }
}

/// Judges content by its status.
fn judge(status: Result<Result<(), wit::Error>, oneshot::error::RecvError>) -> Result<()> {
    match status {
        Ok(Ok(())) => Ok(()),
        Ok(Err(wit::Error::Stalled(_))) => Err(Error::Stalled { received: 0 }),
        Ok(Err(error)) => {
            tracing::debug!("the source of a put failed: {error:?}");
            Err(Error::Interrupted { received: 0 })
        }
        Err(_) => {
            tracing::debug!("the status of a source was dropped");
            Err(Error::Interrupted { received: 0 })
        }
    }
}

#[async_trait]
impl ByteStream for Pull {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        // Dropping this future loses nothing: both channels keep what is not taken.
        loop {
            let status = match &mut self.verdict {
                Verdict::Whole => return Ok(self.chunks.recv().await),
                // Chunks that arrived before the failure count, for parts that keep a prefix.
                Verdict::Failed(error) => return self.chunks.try_recv().map(Some).map_err(|_| error.repeat()),
                Verdict::Open(status) => tokio::select! {
                    biased;
                    status = &mut *status => status,
                    chunk = self.chunks.recv() => match chunk {
                        Some(chunk) => return Ok(Some(chunk)),
                        None => status.await,
                    },
                },
            };
            self.verdict = match judge(status) {
                Ok(()) => Verdict::Whole,
                Err(error) => {
                    self.chunks.close();
                    Verdict::Failed(error)
                }
            };
        }
    }
}

/// The consumer of a stream: fills the queue.
struct Feed(PollSender<Bytes>);

impl<D> StreamConsumer<D> for Feed {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.0.poll_reserve(cx) {
            Poll::Ready(Ok(())) => {}
            // The put has ended.
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => {
                self.0.abort_send();
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            Poll::Pending => return Poll::Pending,
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let chunk = Bytes::copy_from_slice(&bytes[..bytes.len().min(PULL_READ)]);
        source.mark_read(chunk.len());
        if !chunk.is_empty() && self.0.send_item(chunk).is_err() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// The consumer of a status.
struct Resolve(Option<oneshot::Sender<Result<(), wit::Error>>>);

impl<D> FutureConsumer<D> for Resolve {
    type Item = Result<(), wit::Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut status: Option<Self::Item> = None;
        source.read(store, &mut status)?;
        if let (Some(status), Some(resolve)) = (status, self.0.take()) {
            // A put that has ended needs no status.
            let _ = resolve.send(status);
        }
        Poll::Ready(Ok(()))
    }
}
