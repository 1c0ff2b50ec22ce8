//! State behind a lock, for whose changes others wait: for backends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A state, and who waits for it to become another.
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

    /// The state, also after a panic of who had it. Whoever makes it what others wait for calls [`Watched::notify`] then.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets those who wait look again.
    pub fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// Asks at once, and each time that [`Watched::notify`] was called since, until there is an answer.
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
