//! Runs the cases for one instance on the store in memory of the guest SDK, as native programs. So a guest that is tested on
//! that store is tested on the contract.
#![allow(dead_code, reason = "of a program the test takes the cases, and not its `main`")]

use libtest_mimic::{Arguments, Failed, Trial};
use portico_guest::memory::Host;
use portico_guest_conformance::{Case, native::Claims};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

#[path = "../src/bin/assemble.rs"]
mod assemble;
#[path = "../src/bin/assemble_fails.rs"]
mod assemble_fails;
#[path = "../src/bin/assemble_sizes.rs"]
mod assemble_sizes;
#[path = "../src/bin/delete.rs"]
mod delete;
#[path = "../src/bin/interrupt.rs"]
mod interrupt;
#[path = "../src/bin/join.rs"]
mod join;
#[path = "../src/bin/join_at_once.rs"]
mod join_at_once;
#[path = "../src/bin/join_fails.rs"]
mod join_fails;
#[path = "../src/bin/keep_prefix.rs"]
mod keep_prefix;
#[path = "../src/bin/list_pages.rs"]
mod list_pages;
#[path = "../src/bin/multipart.rs"]
mod multipart;
#[path = "../src/bin/names_refused.rs"]
mod names_refused;
#[path = "../src/bin/open_final.rs"]
mod open_final;
#[path = "../src/bin/other_digests.rs"]
mod other_digests;
#[path = "../src/bin/put_final.rs"]
mod put_final;
#[path = "../src/bin/put_final_again.rs"]
mod put_final_again;
#[path = "../src/bin/put_final_fails.rs"]
mod put_final_fails;
#[path = "../src/bin/put_limit.rs"]
mod put_limit;
#[path = "../src/bin/put_part.rs"]
mod put_part;
#[path = "../src/bin/put_part_ended.rs"]
mod put_part_ended;
#[path = "../src/bin/range_read.rs"]
mod range_read;
#[path = "../src/bin/record.rs"]
mod record;
#[path = "../src/bin/scope.rs"]
mod scope;
#[path = "../src/bin/stat.rs"]
mod stat;
#[path = "../src/bin/stream_open.rs"]
mod stream_open;
#[path = "../src/bin/void_final.rs"]
mod void_final;
#[path = "../src/bin/writer.rs"]
mod writer;

/// The programs of the suite.
const PROGRAMS: &[(&str, &[Case])] = &[
    ("assemble", assemble::CASES),
    ("assemble_fails", assemble_fails::CASES),
    ("assemble_sizes", assemble_sizes::CASES),
    ("delete", delete::CASES),
    ("interrupt", interrupt::CASES),
    ("join", join::CASES),
    ("join_at_once", join_at_once::CASES),
    ("join_fails", join_fails::CASES),
    ("keep_prefix", keep_prefix::CASES),
    ("list_pages", list_pages::CASES),
    ("multipart", multipart::CASES),
    ("names_refused", names_refused::CASES),
    ("open_final", open_final::CASES),
    ("other_digests", other_digests::CASES),
    ("put_final", put_final::CASES),
    ("put_final_again", put_final_again::CASES),
    ("put_final_fails", put_final_fails::CASES),
    ("put_limit", put_limit::CASES),
    ("put_part", put_part::CASES),
    ("put_part_ended", put_part_ended::CASES),
    ("range_read", range_read::CASES),
    ("record", record::CASES),
    ("scope", scope::CASES),
    ("stat", stat::CASES),
    ("stream_open", stream_open::CASES),
    ("void_final", void_final::CASES),
    ("writer", writer::CASES),
];

/// Programs of which no case can run here, by the beginning of their names, and why.
const OTHER_PROGRAMS: &[(&str, &str)] = &[
    ("hosts_", "several hosts"),
    ("self_check", "the runner's own tests"),
    ("trap", "a native guest has no trap"),
    ("writer_sink", "handles of the bindings"),
];

/// Cases that cannot run here, and why.
const OTHER_CASES: &[(&str, &str)] = &[
    ("put_final_fails::expectations_of_no_form", "handles of the bindings"),
    ("put_final::from_standard_input", "the standard input is that of the test"),
    ("open_final::too_many_open", "no limit of open streams"),
];

/// The largest object of a case that needs a small limit, in bytes.
const SMALL_LIMIT: u64 = 8 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("every_program_is_here", every_program_is_here)];
    for (program, cases) in PROGRAMS {
        for (line, run) in *cases {
            let (case, needs) = line.split_once(' ').unwrap_or((line, ""));
            let name = format!("{program}::{case}");
            let other = OTHER_CASES.iter().find(|(other, _)| *other == name).map(|(_, why)| *why);
            let other = other.or(needs.contains("instances=").then_some("several instances"));
            let (needs, run) = (needs.contains("small-limit"), *run);
            let trial = Trial::test(name, move || check(run, needs));
            trials.push(match other {
                Some(why) => trial.with_kind(why).with_ignored_flag(true),
                None => trial,
            });
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn every_program_is_here() -> Result<(), Failed> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");
    let mut missing = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        missing.insert(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    missing.retain(|name| {
        PROGRAMS.iter().all(|(program, _)| program != name)
            && OTHER_PROGRAMS.iter().all(|(beginning, _)| !name.starts_with(beginning))
    });
    if missing.is_empty() { Ok(()) } else { Err(format!("not run: {missing:?}").into()) }
}

/// Runs a case, and compares what it claims with what the store has.
fn check(case: fn(&portico_guest::Store), has_small_limit: bool) -> Result<(), Failed> {
    let host = if has_small_limit { Host::new().max_object_size(SMALL_LIMIT) } else { Host::new() };
    let ran = catch_unwind(AssertUnwindSafe(|| host.run(|| case(&host.store()))));
    let claims = Claims::take();
    ran.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    let objects = claims.objects.into_iter().map(|(key, bytes)| (key.replacen("final/", "", 1), bytes));
    compare("objects", host.objects(), objects.collect())?;
    let parts = claims.parts.into_iter().map(|(mut path, key, bytes)| {
        path.push(key);
        (path.join("/"), bytes)
    });
    compare("parts", host.parts(), parts.collect())
}

fn compare(what: &str, found: BTreeMap<String, Vec<u8>>, claimed: BTreeMap<String, Vec<u8>>) -> Result<(), Failed> {
    if found == claimed {
        return Ok(());
    }
    let named =
        |all: &BTreeMap<String, Vec<u8>>| all.iter().map(|(key, bytes)| (key.clone(), bytes.len())).collect::<Vec<_>>();
    Err(format!("the store has the {what} {:?}, the case claims {:?}", named(&found), named(&claimed)).into())
}
