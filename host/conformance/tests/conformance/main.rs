//! Runs the conformance programs on this repository's own host, over each of its backends.
//!
//! A test is named `BACKEND::PROGRAM::CASE`. The tests named `runner` check the runner with programs that must fail.

mod servers;

use libtest_mimic::{Arguments, Trial};
use portico_conformance::{Case, PorticoHost, Runner, TestBackend, backends};
use servers::Wanted;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Time limit for a case. Cases take less than a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Time limit for a case that never ends.
const LIMIT_OF_ENDLESS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let runner = Arc::new(runtime.block_on(Runner::new(PorticoHost)).expect("programs that run"));
    let mut trials = Vec::new();
    for (name, wanted) in runtime.block_on(servers::backends()) {
        for case in runner.cases().iter().filter(|case| !case.is_self_check()) {
            trials.push(match &wanted {
                Wanted::Ready(backend) => trial(&runner, backend, case, runtime.handle()),
                Wanted::Skipped(why) => absent(&name, case, why).with_ignored_flag(true),
                Wanted::Failed(why) => absent(&name, case, why),
            });
        }
    }
    for case in runner.cases().iter().filter(|case| case.is_self_check()) {
        trials.push(self_check(&runner, case, runtime.handle()));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(runner: &Arc<Runner<PorticoHost>>, backend: &Arc<dyn TestBackend>, case: &Case, runtime: &Handle) -> Trial {
    let name = case.test_name(backend.name());
    let lacks = case.lacks(&**backend).map(str::to_owned);
    let (runner, backend, case, runtime) = (runner.clone(), backend.clone(), case.clone(), runtime.clone());
    let run = move || Ok(runtime.block_on(runner.run(&case, &*backend, LIMIT))?);
    let trial = Trial::test(name, run);
    match lacks {
        Some(lacks) => trial.with_kind(format!("needs {lacks}")).with_ignored_flag(true),
        None => trial,
    }
}

/// Returns the trial for a case of a missing backend.
fn absent(backend: &str, case: &Case, why: &str) -> Trial {
    let why = why.to_owned();
    Trial::test(case.test_name(backend), move || Err(why.into())).with_kind("absent")
}

/// Returns a trial that expects the failure with which the name of the case begins.
fn self_check(runner: &Arc<Runner<PorticoHost>>, case: &Case, runtime: &Handle) -> Trial {
    let (runner, runtime, case) = (runner.clone(), runtime.clone(), case.clone());
    let limit = if case.name.starts_with("timed_out") { LIMIT_OF_ENDLESS } else { LIMIT };
    Trial::test(format!("runner::{}", case.name), move || {
        match runtime.block_on(runner.run(&case, &backends::Local, limit)) {
            Err(failure) if case.name.starts_with(failure.kind()) => Ok(()),
            Err(failure) => Err(failure.into()),
            Ok(()) => Err("it passed".into()),
        }
    })
}
