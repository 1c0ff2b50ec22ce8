//! The model of the existence protocol over this backend: several hosts on one bucket.
//!
//! Each store has its own server in this process. The server's clock advances only while nothing runs: between the
//! lives of a store by more than a request may be late, and for sweeps by more than the grace time.

mod audit;

use async_trait::async_trait;
use portico_model::{Faults, Settings, Truth, World};
use portico_s3::{GRACE_MIN, PART_SIZE_MIN, S3Options, S3Store};
use portico_store::Backend;
use portico_test_servers::Server;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Longer than a request may be late.
const BETWEEN_LIVES: Duration = Duration::from_secs(25 * 60);

struct Shared {
    hosts: usize,
    server: OnceCell<(Server, S3Options)>,
    /// Stores that were opened and may still be active.
    opened: Mutex<Vec<Arc<S3Store>>>,
}

impl Shared {
    fn of(hosts: usize) -> Self {
        Shared { hosts, server: OnceCell::new(), opened: Mutex::default() }
    }

    async fn server(&self) -> &(Server, S3Options) {
        let start = || async {
            let server = Server::s3s().await;
            let mut options = server.options(&server.bucket().await);
            options.grace = GRACE_MIN;
            options.part_size = PART_SIZE_MIN;
            (server, options)
        };
        self.server.get_or_init(start).await
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Arc<S3Store>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl World for Shared {
    fn hosts(&self) -> usize {
        self.hosts
    }

    fn assembly_is_atomic(&self) -> bool {
        false
    }

    async fn settle(&self) {
        let opened = self.opened().clone();
        for store in opened {
            store.settle().await;
        }
    }

    fn failures_are_certain(&self) -> bool {
        false
    }

    fn opening_repairs(&self) -> bool {
        false
    }

    fn sizes(&self) -> &'static [usize] {
        &[PART_SIZE_MIN, PART_SIZE_MIN + 1, 2 * PART_SIZE_MIN + 7]
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(250)
    }

    async fn open(&self, host: usize, faults: &Arc<Faults>) -> Result<Arc<dyn Backend>, String> {
        let (server, options) = self.server().await;
        if host == 0 {
            // The first host of a life: earlier lives end before it starts.
            self.settle().await;
            self.opened().clear();
            server.advance(BETWEEN_LIVES);
        }
        let faults = faults.clone();
        let opened = S3Store::open_with_fault(options.clone(), move |step| faults.step(step)).await;
        let store = Arc::new(opened.map_err(|error| format!("the store can't be opened: {error:?}"))?);
        self.opened().push(store.clone());
        Ok(store)
    }

    async fn audit(&self, truth: &Truth) -> Vec<String> {
        let (server, options) = self.server().await;
        let swept = fastrand::bool();
        if swept && let Err(error) = audit::sweep(server, options).await {
            return vec![error];
        }
        audit::audit(server, options, truth, swept).await.unwrap_or_else(|error| vec![error])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_can_be_explained() {
    told(portico_model::random(|| Shared::of(3), Settings::from_env(16)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_of_one_host_can_be_explained() {
    told(portico_model::random(|| Shared::of(1), Settings::from_env(8)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_pair_can_be_explained() {
    told(portico_model::every_pair(|| Shared::of(2), Settings::from_env(0)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_crash_is_survived() {
    let seen = told(portico_model::every_step(|| Shared::of(1)).await);
    for step in [
        "complete",
        "complete done",
        "copied",
        "copy",
        "create upload",
        "create upload done",
        "delete",
        "deleted",
        "format",
        "piece",
        "piece done",
        "put",
        "put done",
        "slot",
        "slot done",
    ] {
        assert!(seen.contains(step), "no case has the step {step:?}: {seen:?}");
    }
}

fn told<T>(result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(story) => panic!("{story}"),
    }
}
