//! `portico sweep`.

use super::error::Error;
use super::store::Store;
use super::{log, portal, stdout};
use crate::config::Config;
use crate::upkeep::{self, Maintained};
use portico_store::SweepReport;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the portal's maintenance and sweeps the store, and says what was done. If one of both fails, the other is done
/// nevertheless.
pub(super) fn sweep(config: &Config) -> Result<ExitCode, Error> {
    log::start(config);
    let (maintained, swept) = super::threads::start()?.block_on(async {
        let store = Store::open_now(config).await?;
        let backend = store.backend();
        let maintained = upkeep::maintain(&portal::runtime(config, backend.clone())?).await;
        let mut swept = backend.sweep().await;
        store.settle().await;
        // Opening a local store sweeps it, so what killed processes had left is gone already.
        if let (Store::Local(store), Ok(swept)) = (&store, &mut swept) {
            swept.removed += store.swept_at_opening().removed;
            swept.bytes += store.swept_at_opening().bytes;
        }
        Ok::<_, Error>((maintained, swept))
    })?;
    let mut out = stdout::results();
    if let Ok(Some(maintained)) = &maintained {
        tell_sessions(&mut out, maintained).map_err(Error::Output)?;
    }
    if let Ok(swept) = &swept {
        tell_leftovers(&mut out, swept).map_err(Error::Output)?;
    }
    maintained?;
    swept?;
    Ok(ExitCode::SUCCESS)
}

fn tell_sessions(out: &mut impl Write, maintained: &Maintained) -> io::Result<()> {
    let Maintained { expired, cleared, purged } = maintained;
    writeln!(out, "ended {expired} sessions whose time was over, cleared {cleared}, forgot {purged} sessions and ids")
}

fn tell_leftovers(out: &mut impl Write, SweepReport { removed, bytes, foreign }: &SweepReport) -> io::Result<()> {
    writeln!(out, "removed {removed} leftovers of {bytes} bytes")?;
    foreign.iter().try_for_each(|name| writeln!(out, "not a thing of this store, left alone: {name}"))?;
    out.flush()
}
