//! Measures whether a client takes what is written to its socket.
//!
//! Invariant: a client that takes bytes is not stalled. Bytes count when the client's kernel acknowledges them, not when the
//! socket becomes writable: Linux reports that only when a third of the send buffer is free, and at 20 kB/s a client needs
//! more than a minute to free that much. Bytes that were acknowledged in advance count as [`Credit`].

use super::credit::Credit;
use super::limits::LOOKS;
use super::pace::Pace;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Why a client failed to take what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakeFailure {
    /// The client took nothing for too long.
    Stalled,
    /// The client took too little.
    Slow,
}

/// Measures a client while the kernel accepts no more bytes for it.
pub(super) struct Backlog {
    idle: Duration,
    pace: Pace,
    credit: Credit,
    /// Bytes that the client had taken at the last check.
    taken: u64,
    /// The time of the next check.
    timer: Option<Pin<Box<Sleep>>>,
    /// The current wait; `None` while the kernel accepts bytes.
    wait: Option<Wait>,
}

#[derive(Clone, Copy)]
struct Wait {
    began: Instant,
    looked: Instant,
}

impl Backlog {
    /// Sets the limits: `idle` without progress, and `min_rate` bytes a second over each `idle` of waiting.
    pub(super) fn new(idle: Duration, min_rate: u64) -> Backlog {
        let credit = Credit::new(Instant::now());
        Backlog { idle, pace: Pace::new(idle, min_rate), credit, taken: 0, timer: None, wait: None }
    }

    /// Begins or continues a wait. `taken` returns the number of bytes taken since the connection began. Resolves when the
    /// client has failed.
    pub(super) fn poll_failure(&mut self, cx: &mut Context<'_>, taken: impl Fn() -> u64) -> Poll<TakeFailure> {
        let pause = (self.idle / LOOKS).max(Duration::from_millis(1));
        let wait = match self.wait {
            Some(wait) => wait,
            None => {
                let now = Instant::now();
                // Bytes that were taken without a wait earn credit too.
                self.took(now, taken());
                self.reset(now + pause);
                *self.wait.insert(Wait { began: now, looked: now })
            }
        };
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            let now = Instant::now();
            let slow = self.look(now, taken());
            let end = self.credit.end(wait.began, self.idle);
            if end <= now {
                return Poll::Ready(TakeFailure::Stalled);
            }
            if slow {
                return Poll::Ready(TakeFailure::Slow);
            }
            self.reset(end.min(now + pause));
        }
    }

    /// Ends a wait, because the kernel accepts bytes again.
    ///
    /// # Errors
    /// [`TakeFailure::Slow`] if the client recently took too little.
    pub(super) fn accepted(&mut self, taken: impl Fn() -> u64) -> Result<(), TakeFailure> {
        let slow = self.wait.is_some() && self.pace.demands() && self.look(Instant::now(), taken());
        self.wait = None;
        if slow { Err(TakeFailure::Slow) } else { Ok(()) }
    }

    /// Records the bytes taken since the last check. Returns true if they are too few for the time waited.
    fn look(&mut self, now: Instant, taken: u64) -> bool {
        let more = self.took(now, taken);
        let Some(wait) = &mut self.wait else { return false };
        let waited = now.duration_since(std::mem::replace(&mut wait.looked, now));
        self.pace.moved(more, waited).is_err()
    }

    fn took(&mut self, now: Instant, taken: u64) -> u64 {
        let more = taken.saturating_sub(self.taken);
        if more > 0 {
            self.taken = taken;
            self.credit.took(more, now);
        }
        more
    }

    fn reset(&mut self, at: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at.into()),
            none => *none = Some(Box::pin(tokio::time::sleep_until(at.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;

    const IDLE: Duration = Duration::from_millis(40);

    async fn failure(backlog: &mut Backlog, taken: impl Fn() -> u64) -> TakeFailure {
        poll_fn(|cx| backlog.poll_failure(cx, &taken)).await
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_stalled() {
        let began = Instant::now();
        let failure = failure(&mut Backlog::new(IDLE, 0), || 0).await;
        assert_eq!(failure, TakeFailure::Stalled);
        assert!(began.elapsed() >= IDLE, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_between_two_looks_is_not() {
        let taken = Cell::new(0);
        let steady = || {
            taken.set(taken.get() + 1);
            taken.get()
        };
        let waited = tokio::time::timeout(IDLE * 5, failure(&mut Backlog::new(IDLE, 0), steady)).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    #[tokio::test]
    async fn a_client_below_the_least_rate_fails_though_it_takes_bytes() {
        let taken = Cell::new(0);
        let slow = || {
            taken.set(taken.get() + 1);
            taken.get()
        };
        assert_eq!(failure(&mut Backlog::new(IDLE, 1 << 20), slow).await, TakeFailure::Slow);
    }

    #[test]
    fn short_waits_add_up_to_the_window_of_the_rate() {
        let mut backlog = Backlog::new(IDLE, 1 << 20);
        let began = Instant::now();
        let mut slow = Vec::new();
        for taken in 1..=5 {
            // A separate wait each time, in which the client takes one byte.
            backlog.wait = Some(Wait { began, looked: began });
            slow.push(backlog.look(began + IDLE / 4, taken));
        }
        assert_eq!(slow, [false, false, false, true, false]);
    }
}
