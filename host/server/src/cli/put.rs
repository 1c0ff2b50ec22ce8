//! `portico put`.

use super::args::switch;
use super::client;
use super::error::Error;
use super::progress::Progress;
use crate::config::size;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use portico_client::{Client, Put, PutOptions, printable};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What the name of standard input is, where nobody gives it one.
const STDIN: &str = "stdin";

/// Most parts of one file that are on their way at once.
const PARALLEL_MAX: i64 = 64;

pub(super) fn command() -> Command {
    let files = Arg::new("files").value_name("FILE").required(true).num_args(1..).action(ArgAction::Append);
    let name = Arg::new("name").long("name").value_name("NAME");
    let kind = Arg::new("type").long("type").value_name("TYPE");
    let parallel = Arg::new("parallel").long("parallel").value_name("N").default_value("4");
    client::command("put", "Put files, and go on with those that were cut off", "5m")
        .arg(files.value_parser(value_parser!(PathBuf)).help("Files; `-` is standard input, which cannot be resumed"))
        .arg(name.help("What the file is called [default: the last part of its path]"))
        .arg(kind.help("Its media type [default: what its name tells]"))
        .arg(parallel.value_parser(value_parser!(u8).range(1..=PARALLEL_MAX)).help("Parts on their way at once"))
        // That of the configuration is what a portal does where nobody says.
        .mut_arg("part_size", |arg| {
            let help = "Size of a part, such as 16MiB [default: as the server likes]";
            arg.help(help).help_heading(None::<&str>).hide_short_help(false)
        })
        .arg(switch("again").help("Make another file of one that was put before and has not changed"))
}

/// Puts the files in turn, and tells the id of each.
pub(super) fn put(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let files: Vec<PathBuf> = matches.get_many("files").into_iter().flatten().cloned().collect();
    let part_size = matches.get_one::<String>("part_size").map(|text| size(text)).transpose();
    let options = PutOptions {
        name: matches.get_one("name").cloned(),
        content_type: matches.get_one("type").cloned(),
        part_size: part_size.map_err(|reason| Error::Usage(format!("--part-size: {reason}")))?,
        parallel: matches.get_one::<u8>("parallel").copied().map_or(1, usize::from),
        again: matches.get_flag("again"),
    };
    if options.name.is_some() && files.len() > 1 {
        return Err(Error::Usage("--name is for one file, and there are several".to_owned()));
    }
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        return Err(Error::Usage("standard input can be put once".to_owned()));
    }
    client::run(matches, |client, progress| async move {
        let mut code = ExitCode::SUCCESS;
        for file in &files {
            progress.about("file", &file.to_string_lossy());
            match one(&client, file, &options, &progress).await {
                Ok(Put { receipt, was_there }) => {
                    let line = format!("{}  {}", printable(&receipt.file_id), printable(&file.to_string_lossy()));
                    let receipt: Value = serde_json::to_value(&receipt).unwrap_or_default();
                    progress.result(&line, "done", json!({ "was_there": was_there, "receipt": receipt }))?;
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

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

async fn one(
    client: &Arc<Client>,
    file: &Path,
    options: &PutOptions,
    progress: &Progress,
) -> Result<Put, portico_client::Error> {
    if !is_stdin(file) {
        return client.put(file, options, &progress.observer()).await;
    }
    progress.note("standard input goes in one piece: what is cut off begins anew");
    let name = options.name.as_deref().unwrap_or(STDIN);
    client.put_pipe(std::io::stdin(), name, options.content_type.as_deref(), &progress.observer()).await
}
