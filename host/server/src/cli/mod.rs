//! The command line.
//!
//! Invariants: a command returns an exit code or an [`Error`], and prints no error itself, but for what fails of several
//! things that it goes on with; the `EXIT_CODES` are the same for all; no command depends on a reader of its messages.

mod backup;
mod check;
mod client;
mod completions;
mod conformance;
mod descriptors;
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
mod trial;
mod verify;

pub use portal::BUILT_IN_PORTAL;
pub use stop::StopSignal;

use crate::config::{Config, ConfigError, KEYS, Sources};
use crate::runtime::{MaintenanceError, SetupError};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueEnum, ValueHint, value_parser};
use portico_conformance::BoxError;
use portico_store::local::OpenError;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes and their meaning.
const EXIT_CODES: [(&str, &str); 4] = [
    (
        "0",
        "It is done. A list whose reader closes the pipe is done, and so is a server that a signal has ended in order.",
    ),
    ("1", "It failed."),
    ("2", "Wrong usage or configuration, or an S3 server that does not do what the configuration says."),
    ("128 + n", "Signal n has ended a command that is no server: 129 SIGHUP, 130 SIGINT (Ctrl-C), 143 SIGTERM."),
];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder cannot be opened as a store.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The bucket cannot be opened as a store.
    #[error("cannot open the store")]
    OpenS3(#[from] portico_s3::OpenError),
    /// A rebuild was asked for where there is no index.
    #[error("--rebuild is for file: stores only: an S3 store has no index")]
    NoIndex,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] portico_store::Error),
    /// The file of a portal cannot be read.
    #[error("cannot read the portal {}", .path.display())]
    ReadPortal {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The portal cannot be run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The portal failed in its maintenance.
    #[error("the portal's maintenance failed")]
    Maintenance(#[from] MaintenanceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The conformance programs cannot be run on the store at all.
    #[error("cannot run the conformance programs")]
    Conformance(#[source] BoxError),
    /// No case of the conformance programs has the filter in its name.
    #[error("no case has `{0}` in its name; --list shows all")]
    NoCase(String),
    /// The portal that a client's command talks to.
    #[error(transparent)]
    Client(#[from] portico_client::Error),
    /// Flags that contradict each other, or miss something.
    #[error("{0}")]
    Usage(String),
    /// A signal ended the command.
    #[error("stopped by a signal")]
    Stopped(StopSignal),
    /// The operating system refuses what every process needs.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// Standard output cannot be written, or its pipe is closed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Error {
    /// The exit code that it ends the process with.
    pub fn exit_code(&self) -> u8 {
        let wrong = match self {
            Error::Stopped(signal) => return signal.exit_code(),
            Error::Config(_) | Error::OpenS3(_) | Error::NoIndex | Error::NoCase(_) | Error::Usage(_) => true,
            Error::Client(error) => error.is_usage(),
            _ => false,
        };
        if wrong { 2 } else { 1 }
    }

    /// It and its causes, in one line.
    pub fn report(&self) -> String {
        portico_store::chain(self)
    }

    /// Whether the reader of the results has closed the pipe.
    fn is_reader_gone(&self) -> bool {
        matches!(self, Error::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

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

fn configuration(matches: &ArgMatches) -> Result<Config, Error> {
    Ok(Config::load(&sources(matches))?)
}

fn command() -> Command {
    Command::new("portico")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An upload portal that streams into storage through a WebAssembly sandbox")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(Subcommand::value_variants().iter().map(|subcommand| subcommand.definition()))
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// A command with a flag for each key of the configuration.
fn configured(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).args(settings())
}

/// The configuration file, and a flag for each of its keys.
fn settings() -> Vec<Arg> {
    let config = Arg::new("config").long("config").value_name("FILE").env("PORTICO_CONFIG");
    let config = config
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Configuration file in TOML, with the flags as its keys");
    let keys = KEYS.iter().map(|key| {
        let default = key.default.filter(|text| !text.is_empty()).map(|text| format!(" [default: {text}]"));
        let help = format!("{} [env: {}]{}", key.help, key.variable(), default.unwrap_or_default());
        let hint = if key.value == "FILE" { ValueHint::FilePath } else { ValueHint::Unknown };
        Arg::new(key.name).long(key.flag()).value_name(key.value).value_hint(hint).help(help)
    });
    std::iter::once(config).chain(keys).collect()
}

fn sources(matches: &ArgMatches) -> Sources {
    let flag = |name| Some((name, matches.get_one::<String>(name)?.clone()));
    Sources {
        flags: KEYS.iter().filter_map(|key| flag(key.name)).collect(),
        environment: std::env::vars_os().collect(),
        file: matches.get_one::<PathBuf>("config").cloned(),
    }
}

/// Threads for work that blocks, such as writing and hashing.
const BLOCKING_THREADS: usize = 64;

/// The async runtime of every command.
fn tokio() -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build().map_err(Error::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

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
