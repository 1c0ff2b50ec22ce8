//! The command line.
//!
//! Invariants: a command returns an exit code or an [`Error`], and prints no error itself, but for what fails of several
//! things that it goes on with; the `EXIT_CODES` are the same for all; no command depends on a reader of its messages.

mod args;
mod backup;
mod check;
mod client;
mod completions;
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

pub use portal::BUILT_IN_PORTAL;

use args::{configuration, configured, settings};
use clap::{ArgMatches, Command, ValueEnum};
use error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command that the arguments and the environment name, and prints its error.
///
/// Does not return if a signal has ended a client command: the process dies of that signal.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    /// Writes pending lines, also if the command panics.
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

/// The commands.
#[derive(Clone, Copy, ValueEnum)]
enum Subcommand {
    Serve,
    Put,
    Get,
    Ls,
    Rm,
    Check,
    Backup,
    Sweep,
    Conformance,
    Completions,
    Man,
}

impl Subcommand {
    fn definition(self) -> Command {
        match self {
            Subcommand::Serve => configured("serve", "Serve the portal over HTTP"),
            Subcommand::Put => put::command(),
            Subcommand::Get => get::command(),
            Subcommand::Ls => ls::command(),
            Subcommand::Rm => rm::command(),
            Subcommand::Check => {
                check::arguments(configured("check", "Show the configuration in force, and try the store"))
            }
            Subcommand::Backup => {
                backup::arguments(configured("backup", "Copy a file: store into a folder, also while a server has it"))
            }
            Subcommand::Sweep => {
                configured("sweep", "End sessions whose time is over, and remove what is left behind in the store")
            }
            Subcommand::Conformance => conformance::Plan::arguments(configured(
                "conformance",
                "Run the conformance programs, each case in a new store beneath the configured one",
            )),
            Subcommand::Completions => completions::command(),
            Subcommand::Man => man::command(),
        }
    }

    fn run(self, matches: &ArgMatches) -> Result<ExitCode, Error> {
        match self {
            Subcommand::Serve => serve::serve(configuration(matches)?),
            Subcommand::Put => put::put(matches),
            Subcommand::Get => get::get(matches),
            Subcommand::Ls => ls::ls(matches),
            Subcommand::Rm => rm::rm(matches),
            Subcommand::Check => check::check(&configuration(matches)?, matches),
            Subcommand::Backup => backup::backup(&configuration(matches)?, matches),
            Subcommand::Sweep => sweep::sweep(&configuration(matches)?),
            Subcommand::Conformance => {
                conformance::conformance(&configuration(matches)?, &conformance::Plan::of(matches))
            }
            Subcommand::Completions => completions::completions(command(), matches),
            Subcommand::Man => man::man(command(), &settings()),
        }
    }
}

/// Runs the command that the arguments and the environment name.
///
/// # Errors
/// [`Error`], which nothing has printed yet.
fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Error> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(usage) => {
            let printed = usage.print();
            // Help is a result. An error of usage is reported by the exit code even if standard error is closed.
            if !usage.use_stderr() {
                printed.map_err(Error::Output)?;
            }
            return Ok(ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2)));
        }
    };
    let Some((name, matches)) = matches.subcommand() else { unreachable!("a subcommand is required") };
    Subcommand::from_str(name, false).map_err(Error::Usage)?.run(matches)
}

fn command() -> Command {
    Command::new("portico")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An upload portal that streams into storage through a WebAssembly sandbox")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(Subcommand::value_variants().iter().map(|subcommand| subcommand.definition()))
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
    fn each_command_is_read_as_itself() {
        for subcommand in Subcommand::value_variants() {
            let read = Subcommand::from_str(subcommand.definition().get_name(), false).unwrap();
            assert_eq!(read.to_possible_value(), subcommand.to_possible_value());
        }
        assert_eq!(command().get_subcommands().count(), Subcommand::value_variants().len());
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
