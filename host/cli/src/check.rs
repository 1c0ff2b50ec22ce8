//! `portico check`.

use super::args::{configured, sources, switch};
use super::error::Error;
use super::store::OpenStore;
use super::trial::try_out;
use super::{check_portal, log, stdout, verify};
use crate::config::{Config, ConfigError, ConfigSources, Origin, StoreConfig};
use clap::{ArgMatches, Command};
use portico_s3::Finding;
use portico_store::local::{FsFacts, LocalOptions, LocalStore, OpenError, RebuildReport};
use portico_store::verify::Depth;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The work besides showing the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckMode {
    /// Try all operations on the store.
    Try,
    /// Rebuild the index, with `force` even an intact one, then try the store.
    Rebuild { force: bool },
    /// Compare the files with their receipts.
    Verify(Depth),
}

pub(super) fn command() -> Command {
    configured("check", "Show the configuration in force, and try the portal and the store")
        .arg(switch("rebuild").help("First rebuild the index from the final objects"))
        .arg(switch("force").requires("rebuild").help("Rebuild even an intact index"))
        .arg(
            switch("files")
                .conflicts_with("rebuild")
                .help("Compare each file with its receipt; read-only, and possible while a server uses the store"),
        )
        .arg(switch("digests").requires("files").help("Also read all files, and compare their digests"))
}

/// Shows the configuration, and checks the store as the flags say.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let sources = sources(matches);
    let (config, has_store) = match Config::load(&sources) {
        Err(ConfigError::Missing { key: "store", .. }) if is_portal_alone(matches, &sources) => {
            (without_store(sources)?, false)
        }
        config => (config?, true),
    };
    let config = &config;
    let mode = match (matches.get_flag("rebuild"), matches.get_flag("files"), matches.get_flag("digests")) {
        (true, ..) => CheckMode::Rebuild { force: matches.get_flag("force") },
        (_, true, digests) => CheckMode::Verify(if digests { Depth::Digests } else { Depth::Sizes }),
        _ => CheckMode::Try,
    };
    log::start(config);
    let mut out = stdout::results();
    // The built-in portal alone needs no words.
    for portal in config.portals.iter().filter(|portal| portal.file.is_some() || config.portals.len() > 1) {
        check_portal::check(&mut out, config, portal)?;
    }
    if !has_store {
        return Ok(ExitCode::SUCCESS);
    }
    let tokio = super::threads::start()?;
    match &config.store {
        StoreConfig::Local { path, options } => {
            let facts = FsFacts::of(path)?;
            show(&mut out, config).and_then(|()| filesystem(&mut out, &facts)).map_err(Error::Output)?;
            if let CheckMode::Rebuild { force } = mode {
                let report = tokio.block_on(make_index(path, options, force))?;
                writeln!(out, "{report}").map_err(Error::Output)?;
            }
        }
        StoreConfig::S3(_) if matches!(mode, CheckMode::Rebuild { .. }) => return Err(Error::NoIndex),
        StoreConfig::S3(_) => show(&mut out, config).map_err(Error::Output)?,
    }
    if let CheckMode::Verify(depth) = mode {
        return verify::verify(&tokio, config, depth);
    }
    let store = tokio.block_on(OpenStore::open_now(config))?;
    let backend = store.backend();
    writeln!(out, "store: {}", backend.info().summary).map_err(Error::Output)?;
    if let OpenStore::S3(store) = &store {
        capabilities(&mut out, &store.capabilities().report()).map_err(Error::Output)?;
    }
    tokio.block_on(async {
        let tried = try_out(&*backend).await;
        store.wait_background().await;
        tried
    })?;
    writeln!(out, "writing, reading and deleting succeeded").map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// Reports whether a check is about a portal, and needs no store.
fn is_portal_alone(matches: &ArgMatches, sources: &ConfigSources) -> bool {
    sources.flags.contains_key("portal") && !matches.get_flag("rebuild") && !matches.get_flag("files")
}

/// Reads a configuration that names no store, for a check of the portal alone.
fn without_store(mut sources: ConfigSources) -> Result<Config, ConfigError> {
    // Never opened.
    sources.flags.insert("store", "file:.".to_owned());
    Config::load(&sources)
}

async fn make_index(path: &Path, options: &LocalOptions, force: bool) -> Result<RebuildReport, OpenError> {
    LocalStore::rebuild(path, LocalOptions { lock_wait: Duration::ZERO, ..options.clone() }, force).await
}

/// Prints the settings in force, and those of the environment that are not.
fn show(out: &mut impl Write, config: &Config) -> std::io::Result<()> {
    for (key, given) in &config.given {
        match key.only_for.filter(|kind| *kind != config.store.kind()) {
            None => writeln!(out, "{:<18} {:<24} {}", key.name, given.text, given.origin)?,
            Some(_) if given.origin == Origin::Default => {}
            Some(kind) => {
                let why = format_args!("ignored: for {} stores only", kind.scheme());
                writeln!(out, "{:<18} {:<24} {}, {why}", key.name, given.text, given.origin)?;
            }
        }
    }
    writeln!(out)
}

/// Prints what the S3 server supports.
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
