//! How long what a client has taken lasts it.
//!
//! A client's system takes megabytes at once, and acknowledges them, before its program has read them. It takes nothing more
//! then until most of that is read, which is minutes for a slow program that never stands still. The server cannot tell
//! that from standing still but by what went before.

use super::limits::{CREDIT_MAX, SLOW_RATE};
use std::time::{Duration, Instant};

/// The time for which a client has something to read, if it reads [`SLOW_RATE`] bytes a second.
#[derive(Debug)]
pub(super) struct Credit {
    until: Instant,
    /// When the client last took something, or was first asked to.
    moved: Instant,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Credit {
        Credit { until: now, moved: now }
    }

    /// The client has taken so many bytes.
    pub(super) fn took(&mut self, bytes: u64, now: Instant) {
        let lasts = Duration::from_secs_f64(bytes as f64 / SLOW_RATE as f64);
        (self.until, self.moved) = (self.until.max(now) + lasts, now);
    }

    /// When a client has stalled that takes nothing more: after `idle` and what it has left, which is [`CREDIT_MAX`] times as
    /// much at most. Its turn began at `since`.
    pub(super) fn end(&self, since: Instant, idle: Duration) -> Instant {
        let since = since.max(self.moved);
        since + idle + self.until.saturating_duration_since(since).min(idle * CREDIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_taken_lasts_it() {
        let (start, idle, second) = (Instant::now(), Duration::from_secs(60), Duration::from_secs(1));
        let mut credit = Credit::new(start);
        assert_eq!(credit.end(start, idle), start + idle);
        credit.took(15 * SLOW_RATE, start + second);
        assert_eq!(credit.end(start, idle), start + second + idle + 15 * second);
        credit.took(15 * SLOW_RATE, start + 6 * second);
        assert_eq!(credit.end(start, idle), start + 31 * second + idle);
        // It is used up when nothing waits for the client as well.
        assert_eq!(credit.end(start + 21 * second, idle), start + 31 * second + idle);
        assert_eq!(credit.end(start + 100 * second, idle), start + 100 * second + idle);
        credit.took(1 << 30, start + 100 * second);
        assert_eq!(credit.end(start, idle), start + 100 * second + idle * (1 + CREDIT_MAX));
    }
}
