//! `portico completions`.

use super::error::Error;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    Command::new("completions")
        .about("Print the completion script for a shell")
        .arg(shell.help("The shell to complete in"))
}

/// Prints the completions of `all`.
pub(super) fn run(mut all: Command, matches: &ArgMatches) -> Result<ExitCode, Error> {
    let shell = *matches.get_one::<Shell>("shell").expect("the argument is required");
    let mut script = Vec::new();
    generate(shell, &mut all, "portico", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}
