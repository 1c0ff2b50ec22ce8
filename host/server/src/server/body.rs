//! The two bodies of an exchange.
//!
//! Invariants: a request body ends cleanly only if the client ended it; a response body ends cleanly only if its
//! guest returned cleanly. Everything else is an error on the body, and the other side sees a cut.

use super::access::Access;
use super::cut::Cut;
use super::flow::Flow;
use super::limits::{HTTP2_PIECE, Settings};
use super::pace::Pace;
use bytes::Bytes;
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

/// The body of a request, as the guest gets it.
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

    /// Begins the client's turn, or goes on with it; ready when it has lasted too long.
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

    /// Ends the client's turn with a piece of so many bytes.
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
                    // An empty frame is progress for nobody, and a stream of them must not look like one.
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

/// The body of a response.
pub(super) struct ResponseBody {
    content: Content,
    access: Access,
}

enum Content {
    /// An answer of the host.
    Host(Full<Bytes>),
    /// An answer of a guest.
    Guest(GuestBody),
}

impl ResponseBody {
    pub(super) fn host(content: Full<Bytes>, access: Access) -> ResponseBody {
        ResponseBody { content: Content::Host(content), access }
    }

    pub(super) fn guest(content: GuestBody, access: Access) -> ResponseBody {
        ResponseBody { content: Content::Guest(content), access }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.access.flow.piece_taken();
        let frame = match &mut self.content {
            Content::Host(body) => ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Error::from)),
            Content::Guest(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.access.sent(bytes);
                self.access.flow.piece_offered(bytes as u64);
            }
            // The first reason stays, if there was one.
            Some(Err(_)) => self.access.flow.cut.give(Cut::GuestFailed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Host(body) => body.is_end_stream(),
            Content::Guest(body) => body.rest.is_empty() && body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Host(body) => body.size_hint(),
            Content::Guest(body) => body.body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let whole = match &self.content {
            Content::Host(body) => body.is_end_stream(),
            Content::Guest(body) => body.whole || body.left == Some(0),
        };
        // The last piece of a stream that was reset has not been taken.
        if (!whole && !self.access.has_no_body()) || self.access.flow.cut.get().is_some() {
            self.access.cut(self.access.flow.why_cut());
        }
    }
}

/// What a guest writes. It waits at its end for how the guest ended. Of HTTP/2 it knows the client's pace; of HTTP/1 the
/// socket does.
pub(super) struct GuestBody {
    body: HyperOutgoingBody,
    /// What the guest has written and the client has not been offered yet.
    rest: Bytes,
    /// Whether the end has been reached.
    whole: bool,
    flow: Arc<Flow>,
    pace: Pace,
    /// Bytes of the announced length that are still to come.
    left: Option<u64>,
    /// When the client's turn began, and with how many bytes.
    since: Option<(Instant, u64)>,
    /// Resolves to a value if the guest returned cleanly.
    outcome: oneshot::Receiver<()>,
    /// Tells the task of the guest, by being dropped, that the exchange is over.
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
                // The guest's body ends in the same way whether it was finished or dropped with the guest.
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
                // What goes beyond the announced length would be left off, and the rest be taken for the whole.
                let Some(rest) = left.checked_sub(bytes) else {
                    return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None))));
                };
                *left = rest;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.offer()))))
    }

    /// The next piece for the client.
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

    /// Counts the piece that the client has taken, if it had one.
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
