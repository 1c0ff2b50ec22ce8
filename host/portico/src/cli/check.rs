//! `portico check`.

use super::{Error, log, store};
use crate::config::{Config, StoreUrl};
use portico_store::local::{FsFacts, LocalOptions, LocalStore};
use portico_store::{Backend, ByteRange, PartOptions, Scope, SessionId, put_part, stream};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What is written, read back and deleted to see whether the store works.
const PROBE: &[u8] = b"portico check";

/// Shows the configuration, makes the index again if `rebuild` says so, and tries the store.
pub(super) fn check(config: &Config, rebuild: Option<Rebuild>) -> Result<ExitCode, Error> {
    log::start(config);
    let mut out = std::io::stdout().lock();
    let StoreUrl::Local(path) = &config.store;
    let facts = LocalStore::facts(path)?;
    configuration(&mut out, config).and_then(|()| filesystem(&mut out, &facts)).map_err(Error::Output)?;
    let tokio = super::tokio()?;
    if let Some(Rebuild { force }) = rebuild {
        let options = LocalOptions { lock_wait: Duration::ZERO, ..config.local.clone() };
        let report = tokio.block_on(LocalStore::rebuild(path, options, force))?;
        writeln!(out, "{report}").map_err(Error::Output)?;
    }
    let (summary, tried) = tokio.block_on(async {
        let store = store::open_now(config).await?;
        Ok::<_, Error>((store.info().summary, try_out(&store).await))
    })?;
    writeln!(out, "store: {summary}").map_err(Error::Output)?;
    tried?;
    writeln!(out, "it can be written, read and deleted from").map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// That the index is to be made again.
pub(super) struct Rebuild {
    /// Even if it is whole.
    pub(super) force: bool,
}

fn configuration(out: &mut impl Write, config: &Config) -> std::io::Result<()> {
    for (key, given) in &config.given {
        writeln!(out, "{:<18} {:<24} {}", key.name, given.text, given.source)?;
    }
    writeln!(out)
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
