//! Tests that need another process: the order of its system calls, and the state after its kill. The other process is
//! this program, with a task.

use libtest_mimic::Arguments;
use std::io::Write;
use std::process::ExitCode;

mod aside;
mod disk;
mod kill;
mod order;

/// Set in the other process, to its task.
const TASK: &str = "PORTICO_TEST_TASK";

fn main() -> ExitCode {
    if let Ok(task) = std::env::var(TASK) {
        let root = std::env::args_os().nth(1).expect("a folder");
        if let Some(round) = task.strip_prefix("until killed ") {
            kill::killed::run(round, root.as_ref());
        } else if let Some(first) = task.strip_prefix("on a disk ") {
            disk::working::run(first, root.as_ref());
        } else if task == "drops" {
            aside::dropping::run(root.as_ref());
        } else {
            order::traced::run(&task, root.as_ref());
        }
        return ExitCode::SUCCESS;
    }
    portico_test_disk::enter_namespace();
    let mut trials = order::trials();
    trials.push(kill::trial());
    trials.push(aside::trial());
    trials.extend(disk::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Sends a line to the parent process: at once, and in one piece.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()).expect("an output");
}
