//! The request body and the response body of an exchange.
//!
//! Invariants: a request body ends cleanly only if the client ended it; a response body ends cleanly only if its guest
//! returned cleanly. Any other end is an error on the body, so that the other side notices the cut.

use super::access::Access;
use super::cut::Cut;
use super::flow::Flow;
use super::limits::{HTTP2_PIECE, Settings};
use super::pace::Pace;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// A request body, as its guest reads it.
pub(super) struct RequestBody {
    body: Incoming,
    http2: bool,
    flow: Arc<Flow>,
    idle: Duration,
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the client's turn began.
    since: Option<Instant>,
    over: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, http2: bool, flow: Arc<Flow>, settings: &Settings) -> RequestBody {
        flow.set_read(body.is_end_stream());
        let idle = settings.body_idle_timeout;
        let pace = Pace::new(idle, settings.body_min_rate);
        RequestBody { body, http2, flow, idle, pace, timer: None, since: None, over: false }
    }

    /// Begins or continues the client's turn. Ready when the turn has lasted too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            timer.as_mut().reset((now + idle).into());
        }
        timer.as_mut().poll(cx)
    }

    /// Ends the client's turn with a piece of `bytes` bytes.
    fn took(&mut self, bytes: u64) -> Result<(), Error> {
        let waited = self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.flow.received.fetch_add(bytes, Ordering::Relaxed);
        self.flow.metrics.received.inc_by(bytes);
        self.flow.moved.fetch_add(bytes, Ordering::Relaxed);
        self.pace.moved(bytes, waited).map_err(|error| {
            tracing::debug!(%error, "cutting a request body");
            Error::ConnectionReadTimeout
        })
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    ready!(self.poll_idle(cx));
                    return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.took(bytes as u64)?;
                    // An empty frame is no progress. A client must not keep its request alive with empty frames.
                    if bytes > 0 || frame.is_trailers() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                // A reset without an error code ends an HTTP/2 body as if it were complete.
                Poll::Ready(None) if self.http2 && !self.body.is_end_stream() => {
                    return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let frame = ready!(self.next(cx));
        self.over = !matches!(frame, Some(Ok(_)));
        let whole = frame.is_none() || (!self.over && self.body.is_end_stream());
        if whole {
            self.flow.set_read(true);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.flow.is_read() {
            self.flow.wire.unread.store(true, Ordering::Relaxed);
        }
    }
}

/// A response body.
pub(super) struct ResponseBody {
    content: ResponseSource,
    access: Access,
}

enum ResponseSource {
    /// A response of the host itself.
    Host(Full<Bytes>),
    /// A response of a guest.
    Guest(GuestBody),
}

impl ResponseBody {
    /// Makes the response of a host's own answer.
    pub(super) fn host(answer: Response<Full<Bytes>>, mut access: Access) -> Response<ResponseBody> {
        access.answered(answer.status());
        answer.map(|content| ResponseBody { content: ResponseSource::Host(content), access })
    }

    pub(super) fn guest(content: GuestBody, access: Access) -> ResponseBody {
        ResponseBody { content: ResponseSource::Guest(content), access }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.access.flow.piece_taken();
        let frame = match &mut self.content {
            ResponseSource::Host(body) => ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Error::from)),
            ResponseSource::Guest(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.access.sent(bytes);
                self.access.flow.piece_offered(bytes as u64);
            }
            // An earlier reason takes precedence.
            Some(Err(_)) => self.access.flow.cut.give(Cut::GuestFailed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ResponseSource::Host(body) => body.is_end_stream(),
            ResponseSource::Guest(body) => body.rest.is_empty() && body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseSource::Host(body) => body.size_hint(),
            ResponseSource::Guest(body) => body.body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let whole = match &self.content {
            ResponseSource::Host(body) => body.is_end_stream(),
            ResponseSource::Guest(body) => body.whole || body.left == Some(0),
        };
        // The last piece of a stream that was reset was not taken.
        if (!whole && !self.access.has_no_body()) || self.access.flow.cut.get().is_some() {
            self.access.cut(self.access.flow.why_cut());
        }
    }
}

/// A guest's response body. At its end, waits for the guest's outcome. Measures the client's pace over HTTP/2; over HTTP/1
/// the socket does.
pub(super) struct GuestBody {
    body: HyperOutgoingBody,
    /// Bytes that the guest has written and the client was not offered yet.
    rest: Bytes,
    /// Whether the body was read to its end.
    whole: bool,
    flow: Arc<Flow>,
    pace: Pace,
    /// Bytes of the announced length that are still missing.
    left: Option<u64>,
    /// When the client's turn began, and the size of its piece.
    since: Option<(Instant, u64)>,
    /// Resolves to a value if the guest returned cleanly.
    outcome: oneshot::Receiver<()>,
    /// Dropped to signal the guest's task that the exchange is over.
    _presence: oneshot::Sender<()>,
}

impl GuestBody {
    pub(super) fn new(
        body: HyperOutgoingBody,
        announced: Option<u64>,
        flow: Arc<Flow>,
        outcome: oneshot::Receiver<()>,
        presence: oneshot::Sender<()>,
        settings: &Settings,
    ) -> GuestBody {
        let pace = Pace::new(settings.body_idle_timeout, settings.body_min_rate);
        let (rest, left) = (Bytes::new(), announced);
        GuestBody { body, rest, whole: false, flow, pace, left, since: None, outcome, _presence: presence }
    }

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.took()?;
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // The stream ends in the same way whether the guest finished it or was dropped.
                None => {
                    return match ready!(Pin::new(&mut self.outcome).poll(cx)) {
                        Ok(()) => {
                            self.whole = true;
                            Poll::Ready(None)
                        }
                        Err(_) => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
                    };
                }
            }
            let bytes = self.rest.len() as u64;
            if let Some(left) = &mut self.left {
                // HTTP would discard bytes beyond the announced length, and the client would take the rest for complete.
                let Some(rest) = left.checked_sub(bytes) else {
                    return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None))));
                };
                *left = rest;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.offer()))))
    }

    /// Returns the next piece for the client.
    fn offer(&mut self) -> Bytes {
        if !self.flow.takes_turns() {
            let piece = std::mem::take(&mut self.rest);
            self.flow.moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
            return piece;
        }
        let size = self.rest.len().min(HTTP2_PIECE);
        self.since = Some((Instant::now(), size as u64));
        self.rest.split_to(size)
    }

    /// Counts the piece that the client has taken, if any.
    fn took(&mut self) -> Result<(), Error> {
        let Some((since, bytes)) = self.since.take() else { return Ok(()) };
        self.flow.moved.fetch_add(bytes, Ordering::Relaxed);
        self.pace.moved(bytes, since.elapsed()).map_err(|error| {
            tracing::debug!(%error, "cutting a response body");
            self.flow.cut.give(Cut::ClientSlow);
            Error::ConnectionWriteTimeout
        })
    }
}

#[cfg(test)]
mod tests;
