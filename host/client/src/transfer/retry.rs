//! Decides whether and when a failed request is retried.

use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Observer};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Shortest and longest wait before a retry. Each wait may be twice the one before.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Longest wait that the server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long failures are tolerated: for `limit` after the last success, however many there are.
pub(crate) struct Patience {
    limit: Duration,
    failing_since: Mutex<Option<Instant>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Patience {
        Patience { limit, failing_since: Mutex::new(None) }
    }

    /// Notes a success.
    pub(crate) fn renew(&self) {
        *self.failing_since.lock().expect("no panic under the lock") = None;
    }

    /// Returns the wait before the next retry, after `tries` retries. `None` means to give up.
    fn wait(&self, error: &Error, tries: u32) -> Option<Duration> {
        if error.is_busy() {
            // A busy server works on the request, for as long as the work takes.
            self.renew();
            return Some(error.retry_after().unwrap_or(WAITS.0).clamp(WAITS.0, WAITS.1));
        }
        if !error.is_temporary() {
            return None;
        }
        let now = Instant::now();
        let since = *self.failing_since.lock().expect("no panic under the lock").get_or_insert(now);
        let left = self.limit.checked_sub(now - since).filter(|left| !left.is_zero())?;
        let most = WAITS.0.saturating_mul(1 << tries.min(16)).min(WAITS.1);
        let wait = most.mul_f64(0.5 + fastrand::f64() / 2.0);
        let asked = error.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX);
        Some(wait.max(asked).min(left))
    }
}

/// The attempts at one operation.
pub(crate) struct Tries<'t> {
    patience: &'t Patience,
    observer: &'t dyn Observer,
    count: u32,
}

impl<'t> Tries<'t> {
    pub(crate) fn new(patience: &'t Patience, observer: &'t dyn Observer) -> Tries<'t> {
        Tries { patience, observer, count: 0 }
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    /// `error` itself, if the operation should not be retried.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        let Some(wait) = self.patience.wait(&error, self.count) else { return Err(error) };
        self.count += 1;
        self.observer.report(Event::Retrying { error: &error, wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Client {
    /// Returns the patience for one transfer.
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.retry)
    }
}

/// Repeats an idempotent operation until it succeeds. The caller decides whether that renews the patience, because a
/// server that only reports its state has made no progress.
pub(crate) async fn retry_until_done<T, F: Future<Output = Result<T, Error>>>(
    patience: &Patience,
    observer: &dyn Observer,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut tries = Tries::new(patience, observer);
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => tries.again(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Error {
        Error::Broken { server: "s".to_owned(), cause: "cut".into() }
    }

    #[test]
    fn waits_grow_and_are_never_the_same_for_all() {
        let patience = Patience::new(Duration::from_secs(60));
        for (tries, most) in [(0, 100), (1, 200), (2, 400), (6, 6_400), (7, 10_000), (40, 10_000)] {
            for _ in 0..20 {
                let wait = patience.wait(&broken(), tries).unwrap();
                let most = Duration::from_millis(most);
                assert!(wait >= most / 2 && wait <= most, "{tries}: {wait:?}");
            }
        }
    }

    #[test]
    fn patience_ends_and_is_renewed() {
        let patience = Patience::new(Duration::from_millis(20));
        assert!(patience.wait(&broken(), 0).unwrap() <= Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(patience.wait(&broken(), 1), None);
        patience.renew();
        assert!(patience.wait(&broken(), 2).is_some());
        assert_eq!(Patience::new(Duration::ZERO).wait(&broken(), 0), None);
        assert_eq!(Patience::new(Duration::from_secs(9)).wait(&Error::Id("x".to_owned()), 0), None);
    }
}
