//! `portico backup`.

use super::args::{configuration, configured};
use super::error::Error;
use super::{log, stdout};
use crate::config::StoreConfig;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use portico_store::local::LocalStore;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let to = Arg::new("to").value_name("FOLDER").required(true).value_parser(value_parser!(PathBuf));
    configured("backup", "Copy a file: store into a folder, even while a server uses the store").arg(
        to.value_hint(ValueHint::DirPath).help("Folder of the copy, new or from an earlier run; no server may use it"),
    )
}

/// Copies the store, and prints a summary.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let config = configuration(matches)?;
    log::start(&config);
    let StoreConfig::Local { path, .. } = &config.store else {
        let advice = "backup is for file: stores; see docs/backup.md for buckets";
        return Err(Error::Usage(advice.to_owned()));
    };
    let to = matches.get_one::<PathBuf>("to").ok_or_else(|| Error::Usage("the folder is missing".to_owned()))?;
    let report = LocalStore::backup(path, to)?;
    stdout::print(&report.to_string()).map_err(Error::Output)?;
    Ok(if report.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
