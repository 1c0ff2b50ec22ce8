use super::*;
use crate::runtime::Limits;
use portico_store::Scope;
use portico_store::local::{LocalOptions, LocalStore};
use portico_test_artifacts::HOSTILE;
use portico_test_artifacts::PORTAL;
use tempfile::TempDir;

/// Opens a store in a new folder, which the first value removes on drop.
async fn store() -> (TempDir, Arc<LocalStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), LocalOptions::default()).await.unwrap();
    (folder, Arc::new(store))
}

async fn portal(component: &[u8]) -> (TempDir, Runtime) {
    let limits = Limits { guests: 1, cpu: Duration::from_millis(500), ..Limits::default() };
    let (folder, store) = store().await;
    (folder, Runtime::new(component, store, Scope::root(), limits).unwrap())
}

/// Runs the maintenance of a portal whose second step ends as `second` says.
async fn maintain_hostile(second: &str) -> Result<Option<Maintained>, MaintenanceError> {
    let (_folder, portal) = portal(HOSTILE).await;
    maintain(&portal.with_config([("second-step", second)])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_on_to_the_end_and_are_summed_up() {
    let done = maintain_hostile("end").await.unwrap();
    assert_eq!(done, Some(Maintained { expired: 2, cleared: 4, purged: 6, open_sessions: 8, open_bytes: 10 }));
    let (_folder, portal) = portal(PORTAL).await;
    assert_eq!(maintain(&portal).await.unwrap(), Some(Maintained::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_says_how() {
    let error = maintain_hostile("trap").await.unwrap_err();
    assert!(matches!(error, MaintenanceError::Guest(GuestError::Trap(_))), "{error:?}");
    let error = maintain_hostile("spin").await.unwrap_err();
    assert!(matches!(error, MaintenanceError::Guest(GuestError::Deadline(_))), "{error:?}");
    let error = maintain_hostile("refuse").await.unwrap_err();
    assert!(matches!(error, MaintenanceError::Portal(_)), "{error:?}");
    let error = maintain_hostile("stuck").await.unwrap_err();
    assert!(matches!(error, MaintenanceError::Stuck), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_a_slot_beside_those_of_requests() {
    let (_folder, portal) = portal(HOSTILE).await;
    let runtime = portal.with_config([("second-step", "end")]);
    let request = runtime.instantiate(&"request".into(), Arc::default()).await.unwrap();
    assert!(maintain(&runtime).await.is_ok());
    drop(request);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_ends_when_it_is_told_and_lets_go_of_the_store() {
    let (_folder, store) = store().await;
    let runtime = Runtime::new(HOSTILE, store.clone(), Scope::root(), Limits::default()).unwrap();
    let metrics = UpkeepMetrics::default();
    let upkeep = Upkeep::start(runtime.into(), store.clone(), Duration::from_millis(1), metrics.clone());
    let swept = async {
        while metrics.counted(UpkeepTask::Sweep) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept).await.unwrap();
    upkeep.stop().await;
    assert_eq!(Arc::strong_count(&store), 1);
}
