//! `portico ls`.

use super::client;
use super::error::Error;
use clap::{ArgMatches, Command};
use indicatif::HumanBytes;
use portico_client::{Receipt, printable};
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    client::command("ls", "List the files", "10s")
}

/// Lists the files, page by page.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let json = matches.get_flag("json");
    client::run(matches, |client, progress| async move {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut lines = 0;
        client
            .list(&progress, |file| {
                lines += 1;
                line(&mut out, &file, json, lines == 1).map_err(Error::Output)
            })
            .await?;
        out.flush().map_err(Error::Output)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(out: &mut impl Write, file: &Receipt, json: bool, first: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, file)?;
        return writeln!(out);
    }
    if first {
        writeln!(out, "{:<32}  {:>11}  {:<20}  NAME", "FILE_ID", "SIZE", "CREATED")?;
    }
    let Receipt { file_id, size_bytes, created_at, original_filename, .. } = file;
    let size = HumanBytes(*size_bytes).to_string();
    let [id, created, name] = [file_id, created_at, original_filename].map(|text| printable(text));
    writeln!(out, "{id:<32}  {size:>11}  {created:<20}  {name}")
}
