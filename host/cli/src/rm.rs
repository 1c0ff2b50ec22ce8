//! `portico rm`.

use super::args::switch;
use super::client;
use super::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Command};
use portico_client::printable;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let ids = Arg::new("file-ids").value_name("FILE_ID").required(true).num_args(1..).action(ArgAction::Append);
    client::command("rm", "Remove files for good", "10s")
        .arg(ids.help("Ids, as `put` prints them"))
        .arg(switch("force").help("Do not fail if a file does not exist"))
}

/// Removes the files in turn.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let ids: Vec<String> = matches.get_many("file-ids").into_iter().flatten().cloned().collect();
    let force = matches.get_flag("force");
    client::run(matches, |client, progress| async move {
        let mut code = ExitCode::SUCCESS;
        for id in &ids {
            progress.about("file_id", id);
            match client.remove_file(id, &progress).await {
                Ok(true) => progress.result(&format!("removed {}", printable(id)), "removed", json!({}))?,
                Ok(false) if force => progress.result("", "absent", json!({}))?,
                Ok(false) => {
                    progress.failure(&portico_client::Error::Absent)?;
                    code = ExitCode::FAILURE;
                }
                Err(error) => {
                    progress.failure(&error)?;
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    })
}
