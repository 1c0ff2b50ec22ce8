//! Tests of the `portico` binary over HTTP that are about S3: several servers of one bucket, kills and sweeps, outages,
//! memory, and the commands. They run on the double in this process and on each real server that is wanted; one that is
//! missing is shown as ignored, by the names of its cases, where it may be missing.
//!
//! What puts the clock of the S3 server forward runs on the double alone.

mod backup;
mod between;
#[path = "../fixture/bucket.rs"]
#[expect(dead_code, reason = "the tests of `s3.rs` use the rest")]
mod bucket;
#[path = "../fixture/busy.rs"]
mod busy;
mod client;
mod commands;
#[path = "../fixture/mod.rs"]
#[expect(dead_code, reason = "the tests of `main.rs` use the rest")]
mod fixture;
mod hosts;
mod killed;
mod memory;
mod outage;
mod ready;
mod sessions;
mod verify;
mod whole;

use bucket::Bucket as Store;
use fixture::Stored;
use libtest_mimic::Arguments;
use portico_test_servers::{Server as S3Server, lacks_proxy, lacks_several_hosts, trial, wanted};
use std::process::ExitCode;
use std::sync::Arc;

type Check = (&'static str, fn(&Arc<S3Server>));

/// The name and the function of each check.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn(&Arc<S3Server>))),*]
    };
}

/// What runs on each server.
const EVERYWHERE: &[Check] = checks![
    commands::check_says_what_the_server_is_able_to,
    verify::each_difference_is_found_and_nothing_is_changed,
    verify::a_bucket_without_a_store_is_refused_and_stays_empty,
    whole::a_large_file_goes_in_comes_out_and_goes,
    whole::a_body_of_unknown_length_is_stored_whole,
];

/// What runs where a proxy can be before the server.
const BEHIND_A_PROXY: &[Check] = checks![
    between::a_page_of_a_proxy_is_no_absence,
    between::a_proxy_that_takes_less_is_told_of,
    outage::a_put_in_the_middle_of_which_the_store_goes_is_told_so,
    outage::a_get_in_the_middle_of_which_the_store_goes_is_cut_off,
    outage::it_says_that_it_is_not_ready,
    sessions::a_call_in_the_middle_of_which_the_store_goes_can_be_repeated,
];

/// What runs where a store may have several processes: on servers with conditional writes. Elsewhere it is shown as ignored.
const FOR_SEVERAL: &[Check] = checks![
    client::an_upload_goes_on_with_another_server,
    hosts::a_file_of_one_server_is_a_file_of_the_other,
    hosts::a_server_that_is_killed_takes_nothing_acknowledged_with_it,
    sessions::a_server_that_is_killed_leaves_its_sessions_to_the_other,
    sessions::parts_through_two_servers_make_one_file,
    sessions::sweeps_run_beside_sessions,
];

/// What runs on the double alone: it turns the clock, or is about this side of the connection.
const ON_THE_DOUBLE: &[Check] = checks![
    backup::a_copy_in_the_right_order_lacks_only_what_was_deleted_meanwhile,
    commands::conformance_runs_over_a_bucket_and_leaves_nothing,
    commands::what_the_configuration_takes_opens,
    killed::a_sweep_removes_what_a_killed_put_has_left,
    memory::a_large_file_takes_little_memory,
    ready::a_store_that_hangs_is_said_to_and_is_asked_once,
    ready::a_thousand_questions_are_few_looks,
    memory::clients_that_stand_still_keep_nobody_from_finishing,
    memory::who_loses_memory_to_others_is_told_to_come_back,
    sessions::a_sweep_ends_what_is_over_beside_a_server,
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for name in wanted() {
        let own = if name == "s3s" { ON_THE_DOUBLE } else { &[] };
        for (checks, lacks) in [
            (EVERYWHERE, None),
            (BEHIND_A_PROXY, lacks_proxy(&name)),
            (FOR_SEVERAL, lacks_several_hosts(&name)),
            (own, None),
        ] {
            trials
                .extend(checks.iter().map(|(check, run)| trial(&name, check, lacks, |server| run(&Arc::new(server)))));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Ends a server whose store may hold what a failure or a kill has left. It is swept first, so that the parts of what has
/// ended are gone; on the double until nothing but these files is there, and elsewhere they and no others are listed.
fn finish_after_failures(s3: &S3Server, server: fixture::Server, files: &[&Stored]) {
    files.iter().for_each(|file| server.expect_file(file));
    if s3.name() == "s3s" {
        server.store.clear_up();
        server.finish(files);
    } else {
        let swept = fixture::run(server.store.command("sweep"));
        assert_eq!((swept.code, &*swept.err), (Some(0), ""), "{swept:?}");
        server.store.expect_listing(files);
    }
}
