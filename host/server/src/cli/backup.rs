//! `portico backup`.

use super::error::Error;
use super::{log, stdout};
use crate::config::{Config, StoreConfig};
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use portico_store::local::LocalStore;
use std::path::PathBuf;
use std::process::ExitCode;

/// The command's own argument, beside the flags of the configuration.
pub(super) fn arguments(command: Command) -> Command {
    let to = Arg::new("to").value_name("FOLDER").required(true).value_parser(value_parser!(PathBuf));
    command.arg(to.value_hint(ValueHint::DirPath).help("Where the copy is, or is to be made; not for a server to use"))
}

/// Copies the store, and prints what was copied.
pub(super) fn backup(config: &Config, matches: &ArgMatches) -> Result<ExitCode, Error> {
    log::start(config);
    let StoreConfig::Local { path, .. } = &config.store else {
        let advice = "backup is for file: stores; docs/backup.md says how a bucket is copied";
        return Err(Error::Usage(advice.to_owned()));
    };
    let to = matches.get_one::<PathBuf>("to").ok_or_else(|| Error::Usage("a folder is missing".to_owned()))?;
    let report = LocalStore::backup(path, to)?;
    stdout::tell(&report.to_string()).map_err(Error::Output)?;
    Ok(if report.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
