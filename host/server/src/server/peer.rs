//! The client's side of a connection: what its requests share, and how long it has been idle.

use super::limits::MOVING;
use super::turn::Turns;
use super::wire::WireState;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What the requests of a connection share.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) wire: Arc<WireState>,
    pub(super) turns: Arc<Turns>,
    busy: Mutex<Busy>,
}

/// How many requests are being answered, and since when that is none.
struct Busy {
    requests: usize,
    since: Instant,
    /// Whether there has been a request.
    asked: bool,
    /// Bytes that were written when that was last looked at.
    written: u64,
}

/// How long a connection may be idle.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// Before the head of its first request has come.
    pub(super) unasked: Duration,
    /// After the response to a request.
    pub(super) between: Duration,
}

impl Peer {
    pub(super) fn new(addr: SocketAddr) -> Peer {
        let busy = Mutex::new(Busy { requests: 0, since: Instant::now(), asked: false, written: 0 });
        let wire = Arc::<WireState>::default();
        Peer { addr, turns: Turns::new(wire.clone()), wire, busy }
    }

    /// Counts a request until its exchange is over.
    pub(super) fn begin(self: &Arc<Self>) -> Ongoing {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.requests += 1;
        busy.asked = true;
        Ongoing(self.clone())
    }

    /// When the connection will have been idle for too long, or is to be looked at again; `None` while a request is being
    /// answered, or its answer is still being sent.
    pub(super) fn idle_until(&self, limit: Idle) -> Option<Instant> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // What is left of the responses to HTTP/2 goes out as the client makes room.
        let written = self.wire.written.load(Ordering::Relaxed);
        if written - busy.written >= MOVING {
            (busy.written, busy.since) = (written, Instant::now());
        }
        let idle = busy.requests == 0 && !self.wire.sending.load(Ordering::Relaxed);
        idle.then(|| busy.since + if busy.asked { limit.between } else { limit.unasked })
    }
}

/// A request that is being answered.
pub(super) struct Ongoing(Arc<Peer>);

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.requests -= 1;
        (busy.since, busy.written) = (Instant::now(), self.0.wire.written.load(Ordering::Relaxed));
    }
}
