//! Content of known length that is passed straight on: a request whose body is still arriving from the client.
//!
//! It needs memory for one small frame only, and cannot be repeated. If the sender is dropped early, the request fails;
//! the server may keep a remainder, under a key that no other request uses.

use crate::limits;
use crate::request::failure::{Failure, Kind};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portico_store::{Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// The sending side.
pub(crate) struct Straight {
    frames: mpsc::Sender<Bytes>,
    size: u64,
    rest: u64,
    ended: Arc<Notify>,
}

/// The request's side.
struct StraightBody {
    // A body must be `Sync`; only one task uses the receiver.
    frames: Mutex<mpsc::Receiver<Bytes>>,
    rest: u64,
    ended: Arc<Notify>,
}

/// Creates both sides for `size` bytes, at least 1.
pub(crate) fn new(size: u64) -> (Straight, ByteStream) {
    let (sender, receiver) = mpsc::channel(1);
    let ended = Arc::new(Notify::new());
    let body = StraightBody { frames: Mutex::new(receiver), rest: size, ended: ended.clone() };
    (Straight { frames: sender, size, rest: size, ended }, ByteStream::new(SdkBody::from_body_1_x(body)))
}

impl Straight {
    /// Hands over as much of a frame as fits.
    pub(crate) async fn send(&mut self, frame: &mut Bytes) -> Result<()> {
        let fits = frame.len().min(limits::STRAIGHT_FRAME_MAX).min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let piece = frame.split_to(fits);
        self.frames.send(piece).await.map_err(failed)?;
        self.rest -= fits as u64;
        Ok(())
    }

    /// Hands over a whole frame.
    pub(crate) async fn send_all(&mut self, mut frame: Bytes) -> Result<()> {
        while !frame.is_empty() {
            self.send(&mut frame).await?;
        }
        Ok(())
    }

    /// Waits until the request has taken all that was handed over.
    pub(crate) async fn taken(&self) -> Result<()> {
        self.frames.reserve().await.map(drop).map_err(failed)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rest == 0
    }

    /// Returns a notification of the end of the body.
    pub(crate) fn ended(&self) -> Arc<Notify> {
        self.ended.clone()
    }
}

fn failed<T>(_: mpsc::error::SendError<T>) -> Error {
    Error::unavailable("the store ended a request while its content was being sent")
}

/// Waits for a response: without limit while the body is being sent, then for `limit`.
pub(crate) async fn in_time<T>(
    request: impl Future<Output = Result<T, Failure>>,
    ended: Arc<Notify>,
    limit: Duration,
) -> Result<T, Failure> {
    let late = async {
        ended.notified().await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        answer = request => answer,
        () = late => Err(Failure::new(Kind::Transient, format!("no response within {limit:?} after the content"))),
    }
}

impl Body for StraightBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.rest == 0 {
            return Poll::Ready(None);
        }
        let next = self.frames.get_mut().unwrap_or_else(PoisonError::into_inner).poll_recv(cx);
        match next {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
            Poll::Ready(Some(frame)) => {
                self.rest -= frame.len() as u64;
                if self.rest == 0 {
                    self.ended.notify_one();
                }
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}
