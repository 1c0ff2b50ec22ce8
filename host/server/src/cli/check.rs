//! `portico check`.

use super::args::switch;
use super::error::Error;
use super::store::Store;
use super::trial::try_out;
use super::{log, stdout, verify};
use crate::config::{Config, Source, StoreConfig};
use clap::{ArgMatches, Command};
use portico_s3::Finding;
use portico_store::local::{FsFacts, LocalOptions, LocalStore, OpenError, RebuildReport};
use portico_store::verify::Depth;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What is to be done besides showing the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// The store is tried.
    Try,
    /// The index is made again, even if it is whole with `force`, and the store is tried.
    Rebuild { force: bool },
    /// The files are compared with what the store knows of them.
    Verify(Depth),
}

/// The command's own flags, beside those of the configuration.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(switch("rebuild").help("First make the index again from the final objects that are there"))
        .arg(switch("force").requires("rebuild").help("Rebuild even an index that is whole"))
        .arg(
            switch("files")
                .conflicts_with("rebuild")
                .help("Compare each file with its receipt; change nothing, also while a server has the store"),
        )
        .arg(switch("digests").requires("files").help("Read all files, and compare their digests too"))
}

/// Shows the configuration, and does what the flags say.
pub(super) fn check(config: &Config, matches: &ArgMatches) -> Result<ExitCode, Error> {
    let task = match (matches.get_flag("rebuild"), matches.get_flag("files"), matches.get_flag("digests")) {
        (true, ..) => Task::Rebuild { force: matches.get_flag("force") },
        (_, true, digests) => Task::Verify(if digests { Depth::Digests } else { Depth::Sizes }),
        _ => Task::Try,
    };
    log::start(config);
    let mut out = stdout::results();
    let tokio = super::threads::start()?;
    match &config.store {
        StoreConfig::Local { path, options } => {
            let facts = FsFacts::of(path)?;
            configuration(&mut out, config).and_then(|()| filesystem(&mut out, &facts)).map_err(Error::Output)?;
            if let Task::Rebuild { force } = task {
                let report = tokio.block_on(make_index(path, options, force))?;
                writeln!(out, "{report}").map_err(Error::Output)?;
            }
        }
        StoreConfig::S3(_) if matches!(task, Task::Rebuild { .. }) => return Err(Error::NoIndex),
        StoreConfig::S3(_) => configuration(&mut out, config).map_err(Error::Output)?,
    }
    if let Task::Verify(depth) = task {
        return verify::verify(&tokio, config, depth);
    }
    let store = tokio.block_on(Store::open_now(config))?;
    let backend = store.backend();
    writeln!(out, "store: {}", backend.info().summary).map_err(Error::Output)?;
    if let Store::S3(store) = &store {
        capabilities(&mut out, &store.capabilities().report()).map_err(Error::Output)?;
    }
    tokio.block_on(async {
        let tried = try_out(&*backend).await;
        store.settle().await;
        tried
    })?;
    writeln!(out, "it can be written, read and deleted from").map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

async fn make_index(path: &Path, options: &LocalOptions, force: bool) -> Result<RebuildReport, OpenError> {
    LocalStore::rebuild(path, LocalOptions { lock_wait: Duration::ZERO, ..options.clone() }, force).await
}

/// What is in force, and what the environment has that is not.
fn configuration(out: &mut impl Write, config: &Config) -> std::io::Result<()> {
    for (key, given) in &config.given {
        match key.only_for.filter(|kind| *kind != config.store.kind()) {
            None => writeln!(out, "{:<18} {:<24} {}", key.name, given.text, given.source)?,
            Some(_) if given.source == Source::Default => {}
            Some(kind) => {
                let why = format_args!("not in force: for {} stores only", kind.scheme());
                writeln!(out, "{:<18} {:<24} {}, {why}", key.name, given.text, given.source)?;
            }
        }
    }
    writeln!(out)
}

/// What the server was found to be able to.
fn capabilities(out: &mut impl Write, findings: &[Finding]) -> std::io::Result<()> {
    for Finding { name, works, note } in findings {
        let word = if *works { "ok" } else { "missing" };
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        writeln!(out, "{word:<7} {name}{note}")?;
    }
    Ok(())
}

fn filesystem(out: &mut impl Write, facts: &FsFacts) -> std::io::Result<()> {
    let FsFacts { kind, free, total, free_files } = facts;
    write!(out, "filesystem: {kind}, {} MiB free of {} MiB", free >> 20, total >> 20)?;
    if let Some(files) = free_files {
        write!(out, ", room for {files} files")?;
    }
    writeln!(out)
}
