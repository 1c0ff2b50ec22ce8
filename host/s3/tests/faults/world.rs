//! Injects a fault into a request of an operation, and checks the result, the visible state and the garbage.

use crate::operations::{Operation, Seen};
use crate::support::{MIB, audit};
use portico_s3::S3Store;
use portico_store::{Backend, Error, Scope};
use portico_test_servers::{Fault, FaultProxy, Server};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases at once.
const WIDTH: usize = 4;

/// Time limit of a response without content; ten times that where the server has work to do.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Longer than the time limit, so that the client is gone when the server gets the request.
const DELAY: Fault = Fault::Delay(Duration::from_secs(4));

pub(crate) const FAULTS: [Fault; 7] = [
    Fault::ResetAfter,
    Fault::Error500,
    Fault::CutHalf,
    Fault::ResetBefore,
    Fault::ErrorAfter500,
    Fault::SlowDown503,
    DELAY,
];

pub(crate) fn all() -> bool {
    std::env::var("PORTICO_TEST_FAULTS").is_ok_and(|value| value == "all")
}

/// A server, and a store on it that no fault affects.
pub(crate) struct World {
    server: Server,
    bucket: String,
    direct: S3Store,
}

/// The faults of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// At the nth request.
    Once(u64, Fault),
    /// From the nth request on, until cleared.
    From(u64, Fault),
}

impl Plan {
    fn fault(self) -> Fault {
        let (Plan::Once(_, fault) | Plan::From(_, fault)) = self;
        fault
    }

    /// Returns whether the server may have executed a request without a response.
    fn reaches_server(self) -> bool {
        !matches!(self.fault(), Fault::ResetBefore | Fault::Error500 | Fault::SlowDown503 | Fault::Page(_))
    }
}

impl World {
    pub(crate) async fn new(server: Server) -> Arc<World> {
        let bucket = server.bucket().await;
        let mut options = server.options(&bucket);
        options.part_size = 5 * MIB;
        let direct = S3Store::open(options).await.expect("the store opens");
        Arc::new(World { server, bucket, direct })
    }

    /// Opens another host of the store, which reaches the server through a proxy.
    async fn host(&self, retry: Duration) -> (FaultProxy, S3Store) {
        let proxy = FaultProxy::start(&self.server).await;
        let mut options = self.server.options(&self.bucket);
        options.endpoint = Some(proxy.endpoint().to_owned());
        options.part_size = 5 * MIB;
        options.timeout = TIMEOUT;
        options.retry = retry;
        let store = S3Store::open(options).await.expect("the store opens");
        (proxy, store)
    }

    /// Returns the requests of an operation without faults.
    async fn requests(&self, operation: Operation) -> Vec<String> {
        let scope = fresh_scope();
        let (proxy, store) = self.host(Duration::from_secs(10)).await;
        let prepared = operation.prepare(&self.direct, &scope).await;
        let before = proxy.seen().len();
        operation.run(&store, &scope, &prepared, false).await.unwrap();
        store.settle().await;
        assert_eq!(operation.seen(&self.direct, &scope, &prepared).await, Seen::After);
        proxy.seen().split_off(before)
    }

    async fn case(&self, operation: Operation, plan: Plan, name: &str) {
        let scope = fresh_scope();
        let retry = Duration::from_secs(if matches!(plan, Plan::Once(..)) { 60 } else { 1 });
        let (proxy, store) = self.host(retry).await;
        let prepared = operation.prepare(&self.direct, &scope).await;
        let before = proxy.seen().len() as u64;
        let (Plan::Once(nth, fault) | Plan::From(nth, fault)) = plan;
        match plan {
            Plan::Once(..) => proxy.plan(nth, fault),
            Plan::From(..) => proxy.plan_all(nth, fault),
        }
        let began = Instant::now();
        let first = operation.run(&store, &scope, &prepared, false).await;
        let took = began.elapsed();
        store.settle().await;
        let seen_by_proxy = proxy.seen().len() as u64;
        proxy.clear();
        proxy.idle().await;
        let seen = operation.seen(&self.direct, &scope, &prepared).await;
        match (&first, seen) {
            (Ok(()), Seen::After) | (Err(Error::Unavailable { .. }), Seen::Before) => {}
            (Err(Error::Unavailable { .. }), Seen::After)
                if plan.reaches_server() || operation == Operation::DeleteSession => {}
            other => panic!("{name}: {other:?}"),
        }
        if let Plan::Once(..) = plan {
            assert!(seen_by_proxy >= before + nth, "{name}: there was no such request");
            // Another request repairs the effect of a single fault.
            assert!(first.is_ok(), "{name}: {first:?}");
            assert!(operation.is_tidy(&self.direct, &scope).await, "{name}: parts are left");
        } else {
            assert!(took < Duration::from_secs(60), "{name}: {took:?}");
        }
        let again = operation.run(&store, &scope, &prepared, true).await;
        match &again {
            Ok(()) => {}
            Err(error) if seen == Seen::After && operation.is_done_before(error) => {}
            other => panic!("{name}: again: {other:?}"),
        }
        store.settle().await;
        assert_eq!(operation.seen(&self.direct, &scope, &prepared).await, Seen::After, "{name}: again");
    }

    /// Two sweeps, each later than the grace time, leave no garbage.
    pub(crate) async fn audit(&self) {
        for _ in 0..2 {
            self.server.advance(Duration::from_secs(25 * 60 * 60));
            let report = self.direct.sweep().await.unwrap();
            assert!(report.foreign.is_empty(), "{report:?}");
        }
        let left = audit::left(&self.server.client(), &self.bucket).await;
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

fn fresh_scope() -> Scope {
    Scope::root().narrow(&format!("case-{:016x}", fastrand::u64(..))).unwrap()
}

/// Runs cases, [`WIDTH`] at once.
pub(crate) async fn run(world: &Arc<World>, cases: Vec<(Operation, Plan, String)>) {
    let turns = Arc::new(Semaphore::new(WIDTH));
    let mut running = JoinSet::new();
    for (operation, plan, name) in cases {
        let (world, turns) = (world.clone(), turns.clone());
        running.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            world.case(operation, plan, &name).await;
        });
    }
    while let Some(done) = running.join_next().await {
        if let Err(failed) = done {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

pub(crate) async fn cases(
    world: &World,
    operation: Operation,
    faults: &[Fault],
    plan: fn(u64, Fault) -> Plan,
    of_each: usize,
) -> Vec<(Operation, Plan, String)> {
    let requests = world.requests(operation).await;
    let mut cases = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        for more in 0..of_each {
            let fault = faults[(at * of_each + more) % faults.len()];
            let nth = 1 + at as u64;
            let name = format!("{operation:?}, {fault:?} at {nth} of {}: {request}", requests.len());
            cases.push((operation, plan(nth, fault), name));
        }
    }
    cases
}
