//! The shared state of an exchange's bodies, guest task and connection.

use super::cut::{Cut, FirstCut};
use super::interim::Interim;
use super::metrics::Metrics;
use super::turn::Turn;
use super::wire::WireState;
use http::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The shared state of an exchange's bodies, guest task and connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the request body was read to its end.
    read: AtomicBool,
    /// Bytes of the request body that were read.
    pub(super) received: AtomicU64,
    /// Bytes of both bodies.
    pub(super) moved: Arc<AtomicU64>,
    /// The state of the connection's socket.
    pub(super) wire: Arc<WireState>,
    /// The way of the request's interim responses.
    pub(super) interim: Arc<Interim>,
    /// The turns of an HTTP/2 stream; absent for HTTP/1.
    turn: Option<Turn>,
    /// Why the response was cut off, unless the connection ended.
    pub(super) cut: FirstCut,
    /// The server's metrics.
    pub(super) metrics: Arc<Metrics>,
}

impl Flow {
    /// Creates the state. `turn` is present for an HTTP/2 stream.
    pub(super) fn new(metrics: Arc<Metrics>, wire: Arc<WireState>, version: Version, turn: Option<Turn>) -> Flow {
        Flow {
            metrics,
            interim: Arc::new(Interim::new(wire.interim.clone().filter(|_| version == Version::HTTP_11))),
            wire,
            turn,
            cut: FirstCut::default(),
            read: AtomicBool::new(false),
            received: AtomicU64::new(0),
            moved: Arc::default(),
        }
    }

    /// Reports whether the request body was read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// Notes whether the request body was read to its end. A body of unknown length never is.
    pub(super) fn set_read(&self, read: bool) {
        self.read.store(read, Ordering::Relaxed);
    }

    /// Reports whether the response shares its connection, as an HTTP/2 stream does.
    pub(super) fn takes_turns(&self) -> bool {
        self.turn.is_some()
    }

    /// Begins the client's turn on an HTTP/2 stream: the connection has a piece of the response.
    pub(super) fn piece_offered(&self, bytes: u64) {
        self.turn.iter().for_each(|turn| turn.offer(bytes));
    }

    /// Ends the client's turn on an HTTP/2 stream: the client has taken the previous piece.
    pub(super) fn piece_taken(&self) {
        self.turn.iter().for_each(Turn::took);
    }

    /// Resolves when the client of an HTTP/2 stream has stalled for `idle`. Never resolves for HTTP/1, where the socket detects
    /// stalls.
    pub(super) async fn stalled(&self, idle: Duration) {
        match &self.turn {
            Some(turn) => turn.stalled(idle).await,
            None => std::future::pending().await,
        }
    }

    /// Returns why the response was cut off.
    pub(super) fn why_cut(&self) -> Cut {
        self.cut.get().or_else(|| self.wire.cut.get()).unwrap_or(Cut::ClientGone)
    }
}
