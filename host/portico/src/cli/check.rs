//! `portico check`.

use super::store::Store;
use super::{Error, log, stdout};
use crate::config::{Config, Source, StoreConfig};
use portico_s3::Finding;
use portico_store::local::{FsFacts, LocalOptions, LocalStore, OpenError, RebuildReport};
use portico_store::{Backend, ByteRange, PartOptions, Scope, SessionId, put_part, stream};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What is written, read back and deleted to see whether the store works.
const PROBE: &[u8] = b"portico check";

/// Shows the configuration, makes the index again if `rebuild` says so, and tries the store.
pub(super) fn check(config: &Config, rebuild: Option<Rebuild>) -> Result<ExitCode, Error> {
    log::start(config);
    let mut out = stdout::results();
    let tokio = super::tokio()?;
    match &config.store {
        StoreConfig::Local { path, options } => {
            let facts = LocalStore::facts(path)?;
            configuration(&mut out, config).and_then(|()| filesystem(&mut out, &facts)).map_err(Error::Output)?;
            if let Some(Rebuild { force }) = rebuild {
                let report = tokio.block_on(make_index(path, options, force))?;
                writeln!(out, "{report}").map_err(Error::Output)?;
            }
        }
        StoreConfig::S3(_) if rebuild.is_some() => return Err(Error::NoIndex),
        StoreConfig::S3(_) => configuration(&mut out, config).map_err(Error::Output)?,
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

/// That the index is to be made again.
pub(super) struct Rebuild {
    /// Even if it is whole.
    pub(super) force: bool,
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

/// Asks whether the store is ready; writes a part in a scope of its own, reads it back, and deletes it. A part leaves no
/// trace of its deletion.
async fn try_out(store: &dyn Backend) -> portico_store::Result<()> {
    store.ready().await?;
    let scope = Scope::root().narrow("portico-check")?;
    let session = SessionId::parse("probe")?;
    store.delete_session(&scope, &session).await?;
    let part = put_part(store, &scope, &session, 0, &mut stream::from_bytes(PROBE), PartOptions::default()).await?;
    let mut read = store.read_part(&scope, &part.key, ByteRange::default()).await?;
    let content = stream::collect(&mut *read, PROBE.len()).await?;
    store.delete_part(&scope, &part.key).await?;
    if content == PROBE { Ok(()) } else { Err(portico_store::Error::internal("what was read is not what was written")) }
}
