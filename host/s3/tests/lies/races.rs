//! Races of conditional writes: servers that check and write in two steps are refused, and busy ones are not.

use crate::{World, lacking};
use portico_s3::{OpenError, S3Store};
use portico_test_servers::{Fault, FaultProxy, Lies, Server};
use std::time::Duration;
use tokio::task::JoinSet;

/// Time between a check and a write.
const GAP: Duration = Duration::from_micros(30);

/// Servers that check and write in two steps, microseconds apart, are nearly always detected, also by a busy machine.
async fn two_steps(tell: impl FnOnce(&mut Lies), lacks: &'static str) {
    let world = World::new(tell).await;
    let rounds = std::env::var("PORTICO_TEST_OPENINGS").map_or(20, |rounds| rounds.parse().expect("a number"));
    let mut refused = 0;
    for _ in 0..rounds {
        match S3Store::open(world.options()).await {
            Err(OpenError::Lacks { capability, .. }) => {
                assert!(capability.contains(lacks), "{capability}");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => {}
        }
    }
    assert!(refused * 100 >= rounds * 99, "{refused} of {rounds} openings were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_for_absence_before_it_writes() {
    two_steps(|lies| lies.if_none_match_gap = Some(GAP), "If-None-Match").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_the_entity_tag_before_it_writes() {
    two_steps(|lies| lies.if_match_gap = Some(GAP), "If-Match").await;
}

/// A correct but busy server defers some requests of the races.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_not_taken_for_one_that_lies() {
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let mut running = JoinSet::new();
    for fault in
        [Fault::SlowDown503, Fault::Error(409, "ConditionalRequestConflict"), Fault::ResetAfter, Fault::Page(502)]
    {
        let proxy = FaultProxy::start(&server).await;
        let mut options = server.options(&bucket);
        options.endpoint = Some(proxy.endpoint().to_owned());
        options.retry = Duration::from_secs(60);
        running.spawn(async move {
            proxy.only(|line| line.starts_with("PUT ") && line.contains("/probe/"));
            for nth in (2..800).step_by(7) {
                proxy.plan(nth, fault);
            }
            let store = S3Store::open(options).await.expect("the store opens");
            assert_eq!(lacking(&store), Vec::<&str>::new(), "{fault:?}");
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}
