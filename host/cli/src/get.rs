//! `portico get`.

use super::args::switch;
use super::client;
use super::error::Error;
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_client::{Destination, Downloaded, printable};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let output = Arg::new("output").short('o').long("output").value_name("PATH");
    client::command("get", "Download a file, and resume an interrupted download", "5m")
        .arg(Arg::new("file-id").value_name("FILE_ID").required(true).help("Id, as `put` prints it"))
        .arg(output.value_parser(value_parser!(PathBuf)).help(
            "Target: a plain file, a folder, or `-` for standard output [default: the file's own name, in the current folder]",
        ))
        .arg(switch("force").help("Replace an existing plain file; links, devices, pipes and sockets are never replaced"))
}

/// Gets a file, and prints its path.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let id = matches.get_one::<String>("file-id").cloned().unwrap_or_default();
    let to = match matches.get_one::<PathBuf>("output").cloned() {
        Some(path) if path == Path::new("-") && matches.get_flag("json") => {
            return Err(Error::Usage("--json and -o -: standard output takes one of them".to_owned()));
        }
        Some(path) if path == Path::new("-") => Destination::Stdout,
        path => Destination::File(path),
    };
    let force = matches.get_flag("force");
    client::run(matches, |client, progress| async move {
        progress.about("file_id", &id);
        match client.get(&id, to, force, &progress).await {
            Ok(Downloaded { path, size, sha256 }) => {
                let path = path.map(|path| path.to_string_lossy().into_owned());
                let line = path.as_deref().map(printable).unwrap_or_default();
                progress.result(&line, "done", json!({ "path": path, "size_bytes": size, "sha256": sha256 }))?;
                Ok(ExitCode::SUCCESS)
            }
            // The reader has read as much as it wanted.
            Err(portico_client::Error::ReaderGone) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                progress.failure(&error)?;
                Ok(ExitCode::FAILURE)
            }
        }
    })
}
