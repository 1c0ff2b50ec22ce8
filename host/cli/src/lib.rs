//! The command line of the `portico` program, and its configuration.
//!
//! The library serves the program, the tests and the benchmarks. The server itself is `portico_server`.
//!
//! Invariants: a command returns an exit code or an error, and prints errors itself only if it continues with other
//! files; the `EXIT_CODES` are the same for all commands; no command depends on a reader of its messages.

pub mod adapters;
mod args;
mod backup;
mod check;
mod check_portal;
mod client;
mod compile;
mod completions;
pub mod config;
mod conformance;
mod descriptors;
mod error;
mod get;
mod log;
mod ls;
mod man;
mod portal;
mod progress;
mod put;
mod rm;
mod serve;
mod stderr;
mod stdout;
mod stop;
mod store;
mod sweep;
mod threads;
mod trial;
mod verify;
mod watch;
mod wit;

pub use portal::BUILT_IN_PORTAL;

use args::settings;
use clap::{ArgMatches, Command};
use error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command that the arguments and the environment specify, and prints its error.
///
/// Does not return if a signal has ended a client command: the process dies of that signal.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    /// Writes pending lines on drop, also after a panic.
    struct Finish;
    impl Drop for Finish {
        fn drop(&mut self) {
            stderr::finish();
        }
    }
    let finish = Finish;
    let error = match run(arguments) {
        Ok(code) => return code,
        Err(error) if error.is_reader_gone() => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    stderr::say(&error.report());
    drop(finish);
    if let Error::Stopped(signal) = error {
        signal.end();
    }
    ExitCode::from(error.exit_code())
}

/// A command: its definition for the command line, and the function that runs it.
type Subcommand = (fn() -> Command, fn(&ArgMatches) -> Result<ExitCode, Error>);

/// All commands, in the order of the help.
const SUBCOMMANDS: [Subcommand; 14] = [
    (serve::command, serve::run),
    (put::command, put::run),
    (get::command, get::run),
    (ls::command, ls::run),
    (rm::command, rm::run),
    (check::command, check::run),
    (backup::command, backup::run),
    (sweep::command, sweep::run),
    (compile::command, compile::run),
    (conformance::command, conformance::run),
    (wit::command, wit::run),
    (completions::command, |matches| completions::run(command(), matches)),
    (man::command, |_| man::run(command(), &settings())),
    (compile::child_command, compile::run_child),
];

/// Runs the command that the arguments and the environment specify.
///
/// # Errors
/// [`Error`], not printed yet.
fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Error> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(usage) => {
            let printed = usage.print();
            // Help is a result. A usage error is reported by the exit code even if standard error is closed.
            if !usage.use_stderr() {
                printed.map_err(Error::Output)?;
            }
            return Ok(ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2)));
        }
    };
    let Some((name, matches)) = matches.subcommand() else { unreachable!("a subcommand is required") };
    let named = |(definition, _): &&Subcommand| definition().get_name() == name;
    let (_, run) = SUBCOMMANDS.iter().find(named).expect("each subcommand is in the table");
    run(matches)
}

fn command() -> Command {
    Command::new("portico")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An upload portal that streams into storage through a WebAssembly sandbox")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(SUBCOMMANDS.map(|(definition, _)| definition()))
}

#[cfg(test)]
mod tests {
    use super::args::sources;
    use super::*;
    use crate::config::KEYS;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn each_key_has_its_flag_in_each_command() {
        for name in ["serve", "check", "sweep", "conformance", "put x", "get x", "ls", "rm x"] {
            let (name, more) = name.split_once(' ').map_or((name, None), |(name, more)| (name, Some(more)));
            let line = ["portico", name].into_iter().chain(more).map(str::to_owned);
            let flags = KEYS.iter().map(|key| format!("--{}=a=b", key.flag()));
            let matches = command().try_get_matches_from(line.chain(flags)).unwrap();
            let sources = sources(matches.subcommand_matches(name).unwrap());
            assert_eq!(sources.flags.len(), KEYS.len());
            assert!(sources.flags.values().all(|value| value == "a=b"));
        }
    }
}
