//! State behind a lock, with callers that wait for its changes: for backends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A state, and the callers that wait for it to change.
#[derive(Debug, Default)]
pub struct Watched<T> {
    state: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    /// Watches a state.
    pub fn new(state: T) -> Self {
        Watched { state: Mutex::new(state), changed: Notify::new() }
    }

    /// The locked state, also after a panic of an earlier holder. A change that others may wait for is followed by
    /// [`Watched::notify`].
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the waiting callers look again.
    pub fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// Calls `ask` at once, and after each [`Watched::notify`], until it returns a value.
    pub async fn until<R>(&self, mut ask: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            // Before the look, so that no change falls between the two.
            let changed = self.changed.notified();
            if let Some(answer) = ask(&mut self.lock()) {
                return answer;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Watched;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_change_is_missed() {
        let watched = Arc::new(Watched::new(0));
        let waiting: Vec<_> = (1..=100)
            .map(|wanted| {
                let watched = watched.clone();
                tokio::spawn(async move { watched.until(|state| (*state >= wanted).then_some(*state)).await })
            })
            .collect();
        for _ in 0..100 {
            *watched.lock() += 1;
            watched.notify();
            tokio::task::yield_now().await;
        }
        for (wanted, waiting) in (1..=100).zip(waiting) {
            assert!(waiting.await.expect("no panic") >= wanted);
        }
    }
}
