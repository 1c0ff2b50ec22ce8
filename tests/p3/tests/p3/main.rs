//! Runs the component of the tests over a local store and over S3. A test is named `BACKEND::FILE::CASE`.
//!
//! `measure` is ignored: `--ignored --nocapture measure` prints how long put and get take through each generation.

mod guest;
mod measure;
mod server;
mod stores;

use guest::{End, Program};
use libtest_mimic::{Arguments, Failed, Trial};
use portico_store::Scope;
use std::process::ExitCode;
use std::sync::Arc;
use stores::{Kind, TestStore};

/// The cases whose checks all hold in the component.
const CASES: &[&str] = &[
    "finals::kept_and_read",
    "finals::expected",
    "finals::two_racing_puts",
    "finals::refused_before_content",
    "finals::records_and_scopes",
    "parts::kept_and_assembled",
    "parts::joined_and_listed",
    "parts::prefixes",
    "parts::interrupted",
    "parts::endless_stream_meets_its_limit",
    "truncation::status_is_an_error",
    "truncation::status_is_dropped",
    "truncation::status_before_content",
    "truncation::error_before_content",
    "truncation::stream_dropped_early",
    "truncation::reader_dropped_early",
    "truncation::handed_on",
    "truncation::handed_on_after_a_cut",
    "truncation::put_cancelled",
    "writers::pulled_twice",
    "writers::a_failed_pull_fails_the_writer",
    "writers::a_cancelled_pull_fails_the_writer",
    "generations::both_see_the_same",
    "misuse::too_many_streams",
    "misuse::too_many_calls",
    "misuse::a_writer_of_nothing",
    "misuse::quota",
];

/// The cases that end the component while content is on its way, and words of the trap; nothing may be stored.
const ENDINGS: &[(&str, Option<&str>)] = &[
    ("truncation::guest_traps", Some("as the case wants")),
    ("truncation::guest_ends", None),
    ("writers::two_pulls_at_once", Some("a pull of this writer runs")),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let program = Arc::new(Program::load().expect("a component"));
    let mut trials = Vec::new();
    for kind in [Kind::Local, Kind::S3] {
        let mut add = |case: &'static str, check: fn(&Program, &TestStore, &str) -> Result<(), Failed>| {
            let (program, runtime) = (Arc::clone(&program), Arc::clone(&runtime));
            trials.push(Trial::test(format!("{}::{case}", kind.name()), move || {
                let _entered = runtime.enter();
                let store = runtime.block_on(TestStore::open(kind));
                check(&program, &store, case)
            }));
        };
        for &case in CASES {
            add(case, passes);
        }
        for &(case, _) in ENDINGS {
            add(case, leaves_nothing);
        }
        add("misuse::a_table_of_statuses", meets_the_end_of_the_table);
        type OfServer = fn(Kind) -> Result<(), Failed>;
        let tests: [(&str, OfServer); 4] = [
            ("puts_and_gets", server::puts_and_gets),
            ("bodies_that_break_off", server::bodies_that_break_off),
            ("guests_that_fail", server::guests_that_fail),
            ("the_built_in_portal", server::the_built_in_portal),
        ];
        for (name, test) in tests {
            let runtime = Arc::clone(&runtime);
            trials.push(Trial::test(format!("{}::server::{name}", kind.name()), move || {
                let _entered = runtime.enter();
                test(kind)
            }));
        }
    }
    trials.push(trial("s3::truncation::backend_fails", &program, &runtime, backend_fails));
    trials.push(trial("measure", &program, &runtime, measure::run).with_ignored_flag(true));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(
    name: &str,
    program: &Arc<Program>,
    runtime: &Arc<tokio::runtime::Runtime>,
    run: fn(&Program) -> Result<(), Failed>,
) -> Trial {
    let (program, runtime) = (Arc::clone(program), Arc::clone(runtime));
    Trial::test(name, move || {
        let _entered = runtime.enter();
        run(&program)
    })
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}

fn passes(program: &Program, store: &TestStore, case: &str) -> Result<(), Failed> {
    match wait(program.run(case, 0, &store.backend, &Scope::root()))? {
        End::Passed => Ok(()),
        End::Trapped(trap) => Err(trap.into()),
    }
}

/// Nothing of the content is visible, and its name is free.
fn leaves_nothing(program: &Program, store: &TestStore, case: &str) -> Result<(), Failed> {
    let words = ENDINGS.iter().find(|(name, _)| *name == case).and_then(|(_, words)| *words);
    match (wait(program.run(case, 0, &store.backend, &Scope::root()))?, words) {
        (End::Trapped(trap), Some(words)) if trap.contains(words) => {}
        (End::Passed, None) => {}
        (end, _) => return Err(format!("{end:?}").into()),
    }
    let left = wait(store.backend.list_finals(&Scope::root(), None, 10))?;
    if !left.entries.is_empty() {
        return Err(format!("visible: {:?}", left.entries).into());
    }
    passes(program, store, "finals::kept_and_read")
}

/// The component that fills the table traps, and others on the same store do not notice.
fn meets_the_end_of_the_table(program: &Program, store: &TestStore, case: &str) -> Result<(), Failed> {
    match wait(program.run(case, 0, &store.backend, &Scope::root().narrow("hostile")?))? {
        End::Trapped(trap) if trap.contains("table") && !trap.contains("has no end") => {}
        end => return Err(format!("{end:?}").into()),
    }
    passes(program, store, "finals::kept_and_read")
}

/// A download that the backend cuts off is never a whole one.
fn backend_fails(program: &Program) -> Result<(), Failed> {
    let (store, proxy) = wait(TestStore::behind_a_proxy());
    wait(store.put("stored-by-the-host", 12 << 20))?;
    proxy.only(|request| request.starts_with("GET") && request.contains("/final/"));
    proxy.plan_all(1, portico_test_servers::Fault::CutHalf);
    let end = wait(program.run("truncation::backend_fails", 0, &store.backend, &Scope::root()))?;
    proxy.clear();
    let left = wait(store.backend.list_finals(&Scope::root(), None, 10))?;
    match end {
        End::Passed if left.entries.len() == 1 => Ok(()),
        End::Passed => Err(format!("visible: {:?}", left.entries).into()),
        End::Trapped(trap) => Err(format!("{trap}\n{:?}", proxy.seen()).into()),
    }
}
