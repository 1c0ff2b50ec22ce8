//! Measures whether the client of an HTTP/2 stream takes its response.
//!
//! Invariant: a stream is stalled if its client takes nothing of it, however fast the client takes other streams. A stream
//! that only shares a slow connection is not stalled. If the whole connection stalls, the socket decides.

use super::credit::Credit;
use super::limits::{HTTP2_SHARE, LOOKS};
use super::wire::WireState;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shared state of a connection's streams.
#[derive(Debug)]
pub(super) struct Turns {
    start: Instant,
    wire: Arc<WireState>,
    /// Open streams.
    open: AtomicUsize,
    /// When the client last took a piece of any response, in milliseconds after `start`.
    taken: AtomicU64,
}

impl Turns {
    pub(super) fn new(wire: Arc<WireState>) -> Arc<Turns> {
        Arc::new(Turns { start: Instant::now(), wire, open: AtomicUsize::new(0), taken: AtomicU64::new(0) })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// The turns of one stream: its client's or its guest's.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    /// Since when the next piece waits: milliseconds after the start, plus one. The value is 0 during the guest's turn.
    waiting: AtomicU64,
    /// Size of that piece, in bytes.
    piece: AtomicU64,
    credit: Mutex<Credit>,
}

impl Turn {
    pub(super) fn new(turns: &Arc<Turns>) -> Turn {
        turns.open.fetch_add(1, Ordering::Relaxed);
        let credit = Mutex::new(Credit::new(Instant::now()));
        Turn { turns: turns.clone(), waiting: AtomicU64::new(0), piece: AtomicU64::new(0), credit }
    }

    /// Begins the client's turn, with a piece of `bytes` bytes.
    pub(super) fn offer(&self, bytes: u64) {
        self.piece.store(bytes, Ordering::Relaxed);
        self.waiting.store(self.turns.now() + 1, Ordering::Relaxed);
    }

    /// Ends the client's turn, if it has begun: the client has taken the piece.
    pub(super) fn took(&self) {
        if self.waiting.swap(0, Ordering::Relaxed) != 0 {
            let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
            credit.took(self.piece.load(Ordering::Relaxed), Instant::now());
            self.turns.taken.store(self.turns.now(), Ordering::Relaxed);
        }
    }

    /// Resolves when the stream is stalled: the client has taken no piece for `idle`, although the earlier pieces are read and
    /// the connection moves.
    pub(super) async fn stalled(&self, idle: Duration) {
        loop {
            let since = self.waiting.load(Ordering::Relaxed);
            let end = match since {
                0 => Instant::now() + idle,
                since => {
                    let began = self.turns.start + Duration::from_millis(since - 1);
                    self.credit.lock().unwrap_or_else(PoisonError::into_inner).end(began, idle)
                }
            };
            let left = end.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                tokio::time::sleep(left).await;
            } else if self.is_passed_by(since, idle).await {
                return;
            }
        }
    }

    /// Reports whether the client could have taken the piece offered at `since`: it has taken enough of other streams since
    /// then, or the connection has room. Returns false as soon as the client takes the piece.
    async fn is_passed_by(&self, since: u64, idle: Duration) -> bool {
        let turns = &*self.turns;
        let written = || turns.wire.written.load(Ordering::Relaxed);
        let began = written();
        let mut open = 0;
        while self.waiting.load(Ordering::Relaxed) == since {
            open = turns.open.load(Ordering::Relaxed).max(open);
            if written().saturating_sub(began) >= HTTP2_SHARE.saturating_mul(open as u64) {
                return true;
            }
            let moved = Duration::from_millis(turns.now().saturating_sub(turns.taken.load(Ordering::Relaxed)));
            if !turns.wire.sending.load(Ordering::Relaxed) && moved >= idle {
                return true;
            }
            tokio::time::sleep((idle / LOOKS).max(Duration::from_millis(1))).await;
        }
        false
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(20);

    async fn stalls(turn: &Turn) -> bool {
        tokio::time::timeout(IDLE * 10, turn.stalled(IDLE)).await.is_ok()
    }

    #[tokio::test]
    async fn only_a_client_that_has_a_piece_to_take_stalls() {
        let turn = Turn::new(&Turns::new(Arc::default()));
        assert!(!stalls(&turn).await, "it is the guest's turn");
        turn.offer(0);
        turn.stalled(IDLE).await;
        turn.took();
        assert!(!stalls(&turn).await, "it is the guest's turn again");
    }

    #[tokio::test]
    async fn a_stream_waits_for_its_share_of_a_connection_that_is_busy() {
        let turns = Turns::new(Arc::default());
        let (turn, _other) = (Turn::new(&turns), Turn::new(&turns));
        turn.offer(0);
        turns.wire.sending.store(true, Ordering::Relaxed);
        assert!(!stalls(&turn).await, "the socket decides");
        let write = async {
            // Enough for one stream, then for both.
            for bytes in [HTTP2_SHARE, HTTP2_SHARE] {
                tokio::time::sleep(IDLE * 2).await;
                turns.wire.written.fetch_add(bytes, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = turn.stalled(IDLE) => {}
            () = write => {}
        }
        assert_eq!(turns.wire.written.load(Ordering::Relaxed), 2 * HTTP2_SHARE);
    }

    #[tokio::test]
    async fn a_piece_that_is_taken_late_ends_no_stream() {
        let turn = Turn::new(&Turns::new(Arc::default()));
        turn.turns.wire.sending.store(true, Ordering::Relaxed);
        turn.offer(0);
        let take = async {
            tokio::time::sleep(IDLE * 3).await;
            turn.took();
            turn.turns.wire.sending.store(false, Ordering::Relaxed);
            tokio::time::sleep(IDLE * 5).await;
        };
        tokio::select! {
            () = turn.stalled(IDLE) => panic!("it was taken"),
            () = take => {}
        }
    }
}
