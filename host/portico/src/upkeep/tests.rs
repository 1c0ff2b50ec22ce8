use super::*;
use crate::cli::BUILT_IN_PORTAL;
use crate::runtime::Limits;
use crate::testing::Fake;
use portico_store::Scope;
use portico_test_artifacts::HOSTILE;
use std::sync::atomic::Ordering;

fn portal(component: &[u8]) -> Runtime {
    let limits = Limits { guests: 1, cpu: Duration::from_millis(500), ..Limits::default() };
    Runtime::new(component, Arc::new(Fake::new()), Scope::root(), limits).unwrap()
}

/// The portal whose second step does what it is told.
async fn maintain_hostile(second: &str) -> Result<Option<Maintained>, MaintenanceError> {
    maintain(&portal(HOSTILE).with_config([("second-step", second)])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_on_to_the_end_and_are_summed_up() {
    let done = maintain_hostile("end").await.unwrap();
    assert_eq!(done, Some(Maintained { expired: 2, cleared: 4, purged: 6 }));
    assert_eq!(maintain(&portal(BUILT_IN_PORTAL)).await.unwrap(), Some(Maintained::default()));
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
    let runtime = portal(HOSTILE).with_config([("second-step", "end")]);
    let request = runtime.instantiate(&"request".into(), Arc::default()).await.unwrap();
    assert!(maintain(&runtime).await.is_ok());
    drop(request);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_ends_when_it_is_told_and_lets_go_of_the_store() {
    let store = Arc::new(Fake::new());
    let runtime = Runtime::new(HOSTILE, store.clone(), Scope::root(), Limits::default()).unwrap();
    let upkeep = Upkeep::start(runtime, store.clone(), Duration::from_millis(1), Passes::default());
    let swept = async {
        while store.sweeps.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept).await.unwrap();
    upkeep.stop().await;
    assert_eq!(Arc::strong_count(&store), 1);
}
