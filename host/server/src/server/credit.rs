//! The credit of a client for bytes that its system has buffered.
//!
//! A client's system takes and acknowledges megabytes before the client's program reads them. Then it takes nothing until most
//! of them are read, which is minutes for a slow program that never stalls. Only the earlier progress tells such a program
//! from a stalled one.

use super::limits::{CREDIT_MAX, SLOW_RATE};
use std::time::{Duration, Instant};

/// The time until which a client has bytes to read, at [`SLOW_RATE`].
#[derive(Debug)]
pub(super) struct Credit {
    until: Instant,
    /// When the client last took bytes, or was first asked to.
    moved: Instant,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Credit {
        Credit { until: now, moved: now }
    }

    /// Adds credit for bytes that the client has taken.
    pub(super) fn took(&mut self, bytes: u64, now: Instant) {
        let lasts = Duration::from_secs_f64(bytes as f64 / SLOW_RATE as f64);
        (self.until, self.moved) = (self.until.max(now) + lasts, now);
    }

    /// Returns when a client that takes nothing more counts as stalled: after `idle` and its credit, which is at most
    /// [`CREDIT_MAX`] times `idle`. The client's turn began at `since`.
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
        // Credit is also spent while no piece waits for the client.
        assert_eq!(credit.end(start + 21 * second, idle), start + 31 * second + idle);
        assert_eq!(credit.end(start + 100 * second, idle), start + 100 * second + idle);
        credit.took(1 << 30, start + 100 * second);
        assert_eq!(credit.end(start, idle), start + 100 * second + idle * (1 + CREDIT_MAX));
    }
}
