//! The answer of `/ready`, which anybody may ask for.
//!
//! Invariants: one look at the store runs at a time, however many ask; its answer serves all that ask while it runs and for
//! [`READY_KEPT`] after its end; no client waits for a look that began more than [`READY_TIMEOUT`] ago.

use super::limits::{READY_KEPT, READY_TIMEOUT};
use portico_store::{Result, chain};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

type Looking = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
type Look = dyn Fn() -> Looking + Send + Sync;

/// What a look at the store has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes puts.
    Ready,
    /// It takes none.
    NotReady,
    /// It did not answer in time.
    Silent,
}

/// The looks at a store.
#[derive(Clone)]
pub(super) struct Readiness {
    look: Arc<Look>,
    looks: watch::Sender<Looks>,
    kept: Duration,
    timeout: Duration,
}

#[derive(Default)]
struct Looks {
    /// When the look that runs began.
    running: Option<Instant>,
    /// When the latest one ended, and what it found.
    latest: Option<(Instant, Verdict)>,
}

impl Readiness {
    /// Looks at a store by that function.
    pub(super) fn new<F>(look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let look = Arc::new(move || -> Looking { Box::pin(look()) });
        Readiness { look, looks: watch::Sender::default(), kept: READY_KEPT, timeout: READY_TIMEOUT }
    }

    /// Returns what the latest look found, if it is recent; else what the next one finds.
    pub(super) async fn ask(&self) -> Verdict {
        let (mut known, mut began, mut begins) = (None, Instant::now(), false);
        self.looks.send_if_modified(|looks| {
            let recent = looks.latest.filter(|(ended, _)| ended.elapsed() < self.kept);
            known = recent.map(|(_, verdict)| verdict);
            if known.is_none() {
                begins = looks.running.is_none();
                began = *looks.running.get_or_insert(began);
            }
            false
        });
        if let Some(verdict) = known {
            return verdict;
        }
        if begins {
            // On a task of its own, because others wait for the look after this client has gone.
            let ending = Ending { looks: self.looks.clone(), verdict: Verdict::NotReady };
            tokio::spawn(run(self.look.clone(), self.timeout, ending));
        }
        let mut watched = self.looks.subscribe();
        let ended = timeout_at(began + self.timeout, watched.wait_for(|looks| looks.running.is_none())).await;
        match ended {
            Ok(Ok(looks)) => looks.latest.map_or(Verdict::Silent, |(_, verdict)| verdict),
            Ok(Err(_)) | Err(_) => Verdict::Silent,
        }
    }
}

async fn run(look: Arc<Look>, limit: Duration, mut ending: Ending) {
    let mut looking = pin!(look());
    let looked = match timeout(limit, &mut looking).await {
        Ok(looked) => looked,
        Err(_) => {
            tracing::error!("the store did not say in time whether it is ready");
            looking.await
        }
    };
    match looked {
        Ok(()) => ending.verdict = Verdict::Ready,
        Err(error) => tracing::error!(error = chain(&error), "the store is not ready"),
    }
}

/// Ends a look when it is dropped, also after a panic.
struct Ending {
    looks: watch::Sender<Looks>,
    verdict: Verdict,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let latest = Some((Instant::now(), self.verdict));
        self.looks.send_replace(Looks { running: None, latest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_store::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    const FOR_EVER: Duration = Duration::from_secs(3_600);

    /// Looks that each wait for a permit.
    struct Gated {
        readiness: Readiness,
        gate: Arc<Semaphore>,
        /// How many there were.
        count: Arc<AtomicUsize>,
    }

    impl Gated {
        /// Looks whose `at`th one ends with that.
        fn new(at: usize, ends: impl Fn() -> Result<()> + Copy + Send + Sync + 'static) -> Gated {
            let (gate, count) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
            let (inner_gate, inner_count) = (gate.clone(), count.clone());
            let readiness = Readiness::new(move || {
                let (gate, count) = (inner_gate.clone(), inner_count.clone());
                async move {
                    let turn = count.fetch_add(1, Ordering::Relaxed) + 1;
                    gate.acquire().await.map_err(Error::internal)?.forget();
                    if turn == at { ends() } else { Ok(()) }
                }
            });
            Gated { readiness, gate, count }
        }

        fn ask(&self, times: usize) -> JoinSet<Verdict> {
            let mut asking = JoinSet::new();
            for _ in 0..times {
                let readiness = self.readiness.clone();
                asking.spawn(async move { readiness.ask().await });
            }
            asking
        }
    }

    #[tokio::test]
    async fn all_that_ask_share_one_look_and_its_answer_is_kept() {
        let mut store = Gated::new(1, || Ok(()));
        store.readiness.kept = FOR_EVER;
        let asking = store.ask(100);
        store.gate.add_permits(10);
        assert_eq!(asking.join_all().await, [Verdict::Ready; 100]);
        assert_eq!(store.ask(100).join_all().await, [Verdict::Ready; 100]);
        assert_eq!(store.count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_old_is_not_given() {
        let mut store = Gated::new(2, || Err(Error::NoSpace));
        store.readiness.kept = Duration::ZERO;
        store.gate.add_permits(10);
        for verdict in [Verdict::Ready, Verdict::NotReady, Verdict::Ready] {
            assert_eq!(store.readiness.ask().await, verdict);
        }
        assert_eq!(store.count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_look_that_panics_has_ended() {
        let mut store = Gated::new(1, || panic!("as it is meant to"));
        store.readiness.kept = Duration::ZERO;
        store.gate.add_permits(10);
        assert_eq!(store.readiness.ask().await, Verdict::NotReady);
        assert_eq!(store.readiness.ask().await, Verdict::Ready);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_store_that_hangs_and_looks_do_not_pile_up() {
        let mut store = Gated::new(1, || Ok(()));
        store.readiness.kept = FOR_EVER;
        store.readiness.timeout = Duration::from_millis(20);
        for _ in 0..3 {
            assert_eq!(store.ask(100).join_all().await, [Verdict::Silent; 100]);
        }
        assert_eq!(store.count.load(Ordering::Relaxed), 1);
        store.gate.add_permits(1);
        while store.readiness.ask().await != Verdict::Ready {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.count.load(Ordering::Relaxed), 1, "its answer counts when it comes");
    }
}
