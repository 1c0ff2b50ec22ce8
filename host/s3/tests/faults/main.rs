//! Injects a fault at each request of each operation in turn, on the double; `servers` injects some on real servers.
//!
//! `PORTICO_TEST_FAULTS=all` tries every fault at every request; without it each request gets two faults.

mod operations;
#[path = "../support/mod.rs"]
mod support;
mod world;

use operations::Operation;
use portico_test_servers::{Fault, Server};
use world::{FAULTS, Plan, World, all, cases, run};

async fn one_fault(operations: &[Operation]) {
    let world = World::new(Server::s3s().await).await;
    for &operation in operations {
        let of_each = if all() { FAULTS.len() } else { 2 };
        run(&world, cases(&world, operation, &FAULTS, Plan::Once, of_each).await).await;
    }
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_in_a_put() {
    use Operation::{LargeFinal, LargeFinalOfUnknownLength, Part, SmallFinal};
    one_fault(&[SmallFinal, LargeFinal, LargeFinalOfUnknownLength, Part]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_in_an_assembly() {
    one_fault(&[Operation::Assembly, Operation::MergingAssembly]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_in_a_change() {
    use Operation::{CreateRecord, DeleteFinal, DeletePart, DeleteRecord, DeleteSession, ReplaceRecord, VoidFinal};
    one_fault(&[DeleteFinal, DeletePart, DeleteSession, CreateRecord, ReplaceRecord, DeleteRecord, VoidFinal]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away() {
    let world = World::new(Server::s3s().await).await;
    let faults = [Fault::ResetBefore, Fault::ResetAfter, Fault::SlowDown503, Fault::ErrorAfter500];
    for operation in Operation::ALL {
        let of_each = if all() { faults.len() } else { 1 };
        run(&world, cases(&world, operation, &faults, Plan::From, of_each).await).await;
    }
    world.audit().await;
}

/// A proxy keeps responding with pages in S3's place. No operation misjudges what was done.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_proxy() {
    let world = World::new(Server::s3s().await).await;
    let pages = [404, 412, 200, 403, 301, 405, 502].map(Fault::Page);
    let in_place_of_answers = [404, 412, 200, 403, 301, 405, 502].map(Fault::PageAfter);
    let faults: Vec<Fault> = pages.into_iter().zip(in_place_of_answers).flat_map(|(one, other)| [one, other]).collect();
    for operation in Operation::ALL {
        let of_each = if all() { faults.len() } else { 2 };
        run(&world, cases(&world, operation, &faults, Plan::From, of_each).await).await;
    }
    world.audit().await;
}

/// A proxy responds with one page that may be temporary. Another request repairs its effect.
#[tokio::test(flavor = "multi_thread")]
async fn one_page_of_a_proxy() {
    let world = World::new(Server::s3s().await).await;
    let faults =
        [Fault::Page(404), Fault::PageAfter(404), Fault::Page(200), Fault::PageAfter(200), Fault::PageAfter(502)];
    for operation in Operation::ALL {
        let of_each = if all() { faults.len() } else { 1 };
        run(&world, cases(&world, operation, &faults, Plan::Once, of_each).await).await;
    }
    world.audit().await;
}
