//! The socket of a connection: it fails when its client stops reading, and closes so that the last answer arrives.

use super::limits::{LINGER_BYTES, LINGER_TIME};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// What a socket and the requests on it tell each other.
#[derive(Debug, Default)]
pub(super) struct WireState {
    /// Whether a request body was left unread.
    pub(super) unread: AtomicBool,
    /// Whether the last answer is still on its way: bytes wait for the client to read, or the socket lingers.
    pub(super) sending: AtomicBool,
}

/// A socket with a limit on the time in which no byte can be written, and a lingering close.
///
/// A socket that is closed while received bytes lie unread resets the connection, and what was sent last may be lost
/// with it. So if a request was left unread, closing ends our direction, then reads on for a while.
pub(super) struct Wire {
    stream: TcpStream,
    idle: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    state: Arc<WireState>,
    closing: Closing,
}

enum Closing {
    Not,
    Lingering { until: Pin<Box<Sleep>>, left: u64 },
    Done,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, idle: Duration, state: Arc<WireState>) -> Wire {
        Wire { stream, idle, stalled: None, state, closing: Closing::Not }
    }

    /// Passes the result of a write on, or fails it when none has come through for too long.
    fn within_idle<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.state.sending.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let idle = self.idle;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(idle))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client has stopped reading")))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within_idle(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.within_idle(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
