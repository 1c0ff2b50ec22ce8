//! Checks of a store on each requested server. A missing server is reported as ignored where it may be missing.

mod alone;
mod faults;
#[path = "../faults/operations.rs"]
#[expect(dead_code, reason = "`faults` uses the rest")]
mod operations;
mod order;
#[path = "../support/mod.rs"]
mod support;
mod whole;
#[path = "../faults/world.rs"]
#[expect(dead_code, reason = "`faults` uses the rest")]
mod world;

use libtest_mimic::Arguments;
use portico_test_servers::{Server, lacks_proxy, lacks_several_hosts, trial, wanted};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

type Check = (&'static str, fn(Server) -> Pin<Box<dyn Future<Output = ()>>>);

/// Lists the name and the function of each check.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), |server| Box::pin($module::$name(server)))),*]
    };
}

const EVERYWHERE: &[Check] = checks![
    alone::a_server_without_conditional_writes_is_refused_unless_it_is_for_one_process,
    order::in_any_order_nothing_remains_to_be_read_back,
    whole::an_assembly_in_order_moves_nothing_through_the_host,
    whole::finals_of_all_sizes_come_back_as_they_went,
    whole::names_end_once,
    whole::parts_that_are_too_small_to_copy_are_merged,
];

/// Checks for servers that several processes may use, one of them through a proxy. The double has more of them in
/// `faults`.
const BEHIND_A_PROXY: &[Check] = checks![faults::one_fault_at_each_request];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let mut trials = Vec::new();
    for name in wanted() {
        let lacks = lacks_several_hosts(&name).or(lacks_proxy(&name));
        let real = if name == "s3s" { &[] } else { BEHIND_A_PROXY };
        for (checks, lacks) in [(EVERYWHERE, None), (real, lacks)] {
            trials.extend(checks.iter().map(|(check, run)| {
                let runtime = runtime.clone();
                trial(&name, check, lacks, move |server| runtime.block_on(run(server)))
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
