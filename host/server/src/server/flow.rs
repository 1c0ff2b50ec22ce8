//! What the parts of one exchange share: its two bodies, the task of its guest, and its connection.

use super::cut::{Cut, FirstCut};
use super::metrics::Metrics;
use super::turn::Turn;
use super::wire::WireState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What both bodies of an exchange, the task of its guest and its connection tell each other.
#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the request body was read to its end.
    read: AtomicBool,
    /// Bytes of the request body that were read.
    pub(super) received: AtomicU64,
    /// Bytes of both bodies.
    pub(super) moved: Arc<AtomicU64>,
    /// Of its connection.
    pub(super) wire: Arc<WireState>,
    /// Whose turn it is, of an HTTP/2 stream.
    turn: Option<Turn>,
    /// Why the response was cut off, if it was not its connection that ended.
    pub(super) cut: FirstCut,
    /// Those of the server, which count the exchange.
    pub(super) metrics: Arc<Metrics>,
}

impl Flow {
    /// `turn` of an HTTP/2 stream.
    pub(super) fn new(metrics: Arc<Metrics>, wire: Arc<WireState>, turn: Option<Turn>) -> Flow {
        Flow {
            metrics,
            wire,
            turn,
            cut: FirstCut::default(),
            read: AtomicBool::new(false),
            received: AtomicU64::new(0),
            moved: Arc::default(),
        }
    }

    /// Whether the request body was read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// Notes whether the request body was read to its end. Of a body whose end nothing announces it never is.
    pub(super) fn set_read(&self, read: bool) {
        self.read.store(read, Ordering::Relaxed);
    }

    /// Reports whether the response takes turns with others on its connection, as an HTTP/2 stream does.
    pub(super) fn takes_turns(&self) -> bool {
        self.turn.is_some()
    }

    /// Tells the turn of an HTTP/2 stream that its connection has got a piece of the response.
    pub(super) fn piece_offered(&self, bytes: u64) {
        self.turn.iter().for_each(|turn| turn.offer(bytes));
    }

    /// Tells the turn of an HTTP/2 stream that its client has taken the piece before.
    pub(super) fn piece_taken(&self) {
        self.turn.iter().for_each(Turn::took);
    }

    /// Resolves when the client of an HTTP/2 stream has taken nothing of the response for `idle`. Of HTTP/1 the socket
    /// finds that.
    pub(super) async fn stalled(&self, idle: Duration) {
        match &self.turn {
            Some(turn) => turn.stalled(idle).await,
            None => std::future::pending().await,
        }
    }

    /// Why the response was cut off.
    pub(super) fn why_cut(&self) -> Cut {
        self.cut.get().or_else(|| self.wire.cut.get()).unwrap_or(Cut::ClientGone)
    }
}
