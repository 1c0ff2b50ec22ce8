//! The socket of a connection. Detects stalled clients, and closes so that the last answer arrives.

use super::backlog::{Backlog, TakeFailure};
use super::cut::{Cut, FirstCut};
use super::interim::{HyperTurn, InterimQueue};
use super::limits::{LINGER_BYTES, LINGER_TIME, Settings};
use super::outgoing::unacknowledged;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The state that a socket shares with its requests.
#[derive(Debug, Default)]
pub(super) struct WireState {
    /// Whether a request body was not read to its end.
    pub(super) unread: AtomicBool,
    /// Whether the last answer is still being sent: bytes wait for the client, or the socket lingers.
    pub(super) sending: AtomicBool,
    /// Bytes that the kernel has accepted.
    pub(super) written: AtomicU64,
    /// Why the server ended the connection, if it did.
    pub(super) cut: FirstCut,
    /// Interim responses that wait; `None` if the server sends none.
    pub(super) interim: Option<Arc<InterimQueue>>,
}

/// A socket that fails if its client takes too little, and lingers on close.
///
/// Closing a socket with unread received bytes resets the connection, and the last sent bytes may be lost. So after an unread
/// request the socket first shuts down its sending side, then reads and discards for a while.
pub(super) struct Wire {
    stream: TcpStream,
    backlog: Backlog,
    state: Arc<WireState>,
    /// The rest of interim responses that are being written.
    interim: BytesMut,
    closing: Closing,
}

enum Closing {
    Not,
    Lingering { until: Pin<Box<Sleep>>, left: u64 },
    Done,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, settings: &Settings, state: Arc<WireState>) -> Wire {
        let backlog = Backlog::new(settings.body_idle_timeout, settings.body_min_rate);
        Wire { stream, backlog, state, interim: BytesMut::new(), closing: Closing::Not }
    }

    /// Writes the interim responses that wait, before hyper's turn.
    fn poll_interim(&mut self, cx: &mut Context<'_>, turn: HyperTurn) -> Poll<io::Result<()>> {
        if let Some(queue) = &self.state.interim {
            queue.take(cx, turn, &mut self.interim);
        }
        while !self.interim.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, &self.interim);
            match ready!(self.while_taken(cx, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.interim.advance(bytes),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes a write result through. Fails the write if the client does not take earlier bytes.
    fn while_taken(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.state.sending.store(written.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(bytes)) = written {
            self.state.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        let (stream, state) = (&self.stream, &self.state);
        // Without a count of unacknowledged bytes nothing seems to move.
        let taken = || state.written.load(Ordering::Relaxed).saturating_sub(unacknowledged(stream).unwrap_or(0));
        let failure = if written.is_pending() {
            ready!(self.backlog.poll_failure(cx, taken))
        } else {
            match self.backlog.accepted(taken) {
                Ok(()) => return written,
                Err(failure) => failure,
            }
        };
        let (cut, reason) = match failure {
            TakeFailure::Stalled => (Cut::ClientStalled, "the client takes nothing more"),
            TakeFailure::Slow => (Cut::ClientSlow, "the client takes too little"),
        };
        self.state.cut.give(cut);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx, HyperTurn::Writes))?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.while_taken(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx, HyperTurn::Writes))?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.while_taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interim(cx, HyperTurn::Flushes))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        loop {
            match &mut wire.closing {
                Closing::Not => {
                    ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
                    wire.closing = if wire.state.unread.load(Ordering::Relaxed) {
                        wire.state.sending.store(true, Ordering::Relaxed);
                        Closing::Lingering { until: Box::pin(sleep(LINGER_TIME)), left: LINGER_BYTES }
                    } else {
                        Closing::Done
                    };
                }
                Closing::Lingering { until, left } => {
                    let mut space = [0; 16 << 10];
                    let mut buf = ReadBuf::new(&mut space);
                    let read = Pin::new(&mut wire.stream).poll_read(cx, &mut buf)?;
                    let count = buf.filled().len() as u64;
                    *left = left.saturating_sub(count);
                    if until.as_mut().poll(cx).is_ready() || *left == 0 || (read.is_ready() && count == 0) {
                        wire.closing = Closing::Done;
                    } else {
                        ready!(read);
                    }
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
