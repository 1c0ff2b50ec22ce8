//! Whether a client keeps up with its body.

use std::time::Duration;

/// A client was too slow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("slower than {rate} bytes a second")]
pub(super) struct TooSlow {
    rate: u64,
}

/// Measures one direction of one body. Only time in which it is the client's turn counts.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    min_rate: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Demands `min_rate` bytes a second over each `window` of waiting; 0 demands nothing.
    pub(super) fn new(window: Duration, min_rate: u64) -> Pace {
        Pace { window, min_rate, waited: Duration::ZERO, bytes: 0 }
    }

    /// Whether anything is demanded.
    pub(super) fn demands(&self) -> bool {
        self.min_rate > 0
    }

    /// Counts what the client moved, and the time that it took for that.
    ///
    /// # Errors
    /// [`TooSlow`] at the end of a window in which too little moved.
    pub(super) fn moved(&mut self, bytes: u64, waited: Duration) -> Result<(), TooSlow> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waited = self.waited.saturating_add(waited);
        if self.waited < self.window {
            return Ok(());
        }
        let demanded = u128::from(self.min_rate) * self.waited.as_millis() / 1_000;
        let enough = u128::from(self.bytes) >= demanded;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        if enough { Ok(()) } else { Err(TooSlow { rate: self.min_rate }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn a_slow_client_fails_at_the_end_of_a_window() {
        let mut pace = Pace::new(WINDOW, 100);
        assert_eq!(pace.moved(999, Duration::from_secs(9)), Ok(()));
        assert_eq!(pace.moved(0, Duration::from_secs(1)), Err(TooSlow { rate: 100 }));
    }

    #[test]
    fn a_burst_counts_for_its_own_window_only() {
        let mut pace = Pace::new(WINDOW, 100);
        assert_eq!(pace.moved(1_000_000, WINDOW), Ok(()));
        assert_eq!(pace.moved(1, WINDOW), Err(TooSlow { rate: 100 }));
    }

    #[test]
    fn time_that_the_server_takes_is_free() {
        let mut pace = Pace::new(WINDOW, 100);
        for _ in 0..1_000 {
            assert_eq!(pace.moved(1, Duration::ZERO), Ok(()));
        }
    }

    #[test]
    fn without_a_rate_any_client_keeps_up() {
        let mut pace = Pace::new(WINDOW, 0);
        assert_eq!(pace.moved(0, WINDOW * 100), Ok(()));
    }
}
