//! Injects a fault at each request of some operations in turn, without the clock of the double.

use crate::operations::Operation;
use crate::world::{FAULTS, Plan, World, all, cases, run};
use portico_test_servers::Server;

/// Needs two open stores.
pub(crate) async fn one_fault_at_each_request(server: Server) {
    let world = World::new(server).await;
    let of_each = if all() { FAULTS.len() } else { 1 };
    for operation in [Operation::SmallFinal, Operation::LargeFinalOfUnknownLength, Operation::Assembly] {
        run(&world, cases(&world, operation, &FAULTS, Plan::Once, of_each).await).await;
    }
}
