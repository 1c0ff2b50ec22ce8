//! `portico put`.

use super::args::switch;
use super::client;
use super::error::Error;
use super::progress::Progress;
use crate::config::size;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use portico_client::{Client, Observer, PutOptions, Uploaded, printable};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Default file name of standard input.
const STDIN: &str = "stdin";

/// Most parts of one file in flight at once.
const PARALLEL_MAX: i64 = 64;

pub(super) fn command() -> Command {
    let files = Arg::new("files").value_name("FILE").required(true).num_args(1..).action(ArgAction::Append);
    let name = Arg::new("name").long("name").value_name("NAME");
    let kind = Arg::new("type").long("type").value_name("TYPE");
    let parallel = Arg::new("parallel").long("parallel").value_name("N").default_value("4");
    client::command("put", "Upload files, and resume interrupted uploads", "5m")
        .arg(
            files
                .value_parser(value_parser!(PathBuf))
                .help("Files to upload; `-` is standard input, which cannot be resumed"),
        )
        .arg(name.help("File name at the server [default: the last part of the path]"))
        .arg(kind.help("Media type [default: derived from the name]"))
        .arg(parallel.value_parser(value_parser!(u8).range(1..=PARALLEL_MAX)).help("Parts in flight at once"))
        // The setting is the portal's default; the flag is this command's wish.
        .mut_arg("part_size", |arg| {
            let help = "Size of a part, such as 16MiB [default: the server's choice]";
            arg.help(help).help_heading(None::<&str>).hide_short_help(false)
        })
        .arg(switch("again").help("Upload a file again, even if an unchanged copy is stored already"))
}

/// Puts the files in turn, and prints the id of each.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
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
        return Err(Error::Usage("standard input can be given only once".to_owned()));
    }
    client::run(matches, |client, progress| async move {
        let mut code = ExitCode::SUCCESS;
        for file in &files {
            progress.about("file", &file.to_string_lossy());
            match one(&client, file, &options, &progress).await {
                Ok(Uploaded { receipt, was_there }) => {
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
) -> Result<Uploaded, portico_client::Error> {
    let observer: Arc<dyn Observer> = Arc::new(progress.clone());
    if !is_stdin(file) {
        return client.put(file, options, &observer).await;
    }
    progress.note("standard input is sent in one piece and cannot be resumed");
    let name = options.name.as_deref().unwrap_or(STDIN);
    client.put_pipe(std::io::stdin(), name, options.content_type.as_deref(), &observer).await
}
