//! The client's side of a connection: shared state of its requests, and idle time.

use super::interim::InterimQueue;
use super::limits::{MOVING, Settings};
use super::turn::Turns;
use super::wire::WireState;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The state that the requests of a connection share.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) wire: Arc<WireState>,
    pub(super) turns: Arc<Turns>,
    busy: Mutex<Busy>,
}

/// The number of running requests, and the idle time.
struct Busy {
    requests: usize,
    since: Instant,
    /// Whether any request has arrived.
    asked: bool,
    /// Bytes written at the last check.
    written: u64,
}

/// The idle times that a connection is allowed.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// Before the head of the first request.
    pub(super) unasked: Duration,
    /// After the response to a request.
    pub(super) between: Duration,
}

impl Peer {
    pub(super) fn new(addr: SocketAddr, settings: &Settings) -> Peer {
        let busy = Mutex::new(Busy { requests: 0, since: Instant::now(), asked: false, written: 0 });
        let interim = settings.interim_responses.then(Arc::<InterimQueue>::default);
        let wire = Arc::new(WireState { interim, ..WireState::default() });
        Peer { addr, turns: Turns::new(wire.clone()), wire, busy }
    }

    /// Counts a request until its exchange is over.
    pub(super) fn begin(self: &Arc<Self>) -> Ongoing {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.requests += 1;
        busy.asked = true;
        Ongoing(self.clone())
    }

    /// Returns when the connection is idle for too long, or must be checked again. Returns `None` while a request
    /// runs or its answer is being sent.
    pub(super) fn idle_until(&self, limit: Idle) -> Option<Instant> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // Buffered HTTP/2 responses are sent as the client makes room.
        let written = self.wire.written.load(Ordering::Relaxed);
        if written - busy.written >= MOVING {
            (busy.written, busy.since) = (written, Instant::now());
        }
        let idle = busy.requests == 0 && !self.wire.sending.load(Ordering::Relaxed);
        idle.then(|| busy.since + if busy.asked { limit.between } else { limit.unasked })
    }
}

/// Counts a running request until dropped.
pub(super) struct Ongoing(Arc<Peer>);

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.requests -= 1;
        (busy.since, busy.written) = (Instant::now(), self.0.wire.written.load(Ordering::Relaxed));
    }
}
