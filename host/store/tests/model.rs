//! The model of the existence protocol over the local backend.

use async_trait::async_trait;
use portico_model::{Faults, Settings, Truth, World, folder};
use portico_store::Backend;
use portico_store::local::{Durability, LocalOptions, LocalStore};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Local(TempDir);

impl Local {
    fn new() -> Self {
        Local(tempfile::tempdir().expect("a folder for a store"))
    }
}

#[async_trait]
impl World for Local {
    async fn open(&self, _host: usize, faults: &Arc<Faults>) -> Result<Arc<dyn Backend>, String> {
        // The steps are the same with and without syncs; without, there is time for many more histories.
        let options = LocalOptions {
            durability: Durability::None,
            lock_wait: Duration::from_secs(60),
            ..LocalOptions::default()
        };
        let faults = faults.clone();
        let opened = LocalStore::open_with_fault(self.0.path(), options, move |step| faults.step(step)).await;
        Ok(Arc::new(opened.map_err(|error| format!("the store can't be opened: {error:?}"))?))
    }

    async fn audit(&self, truth: &Truth) -> Vec<String> {
        folder::audit(self.0.path(), truth)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_can_be_explained() {
    told(portico_model::random(Local::new, Settings::from_env(80)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_pair_can_be_explained() {
    told(portico_model::every_pair(Local::new, Settings::from_env(0)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_crash_is_survived() {
    let seen = told(portico_model::every_step(Local::new).await);
    for step in [
        "commit",
        "committed",
        "copy",
        "create",
        "link",
        "linked",
        "mkdir",
        "rmdir",
        "sync file",
        "sync folder",
        "truncate",
        "unlink",
        "write",
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
