//! `portico sweep`.

use super::args::{configuration, configured};
use super::error::Error;
use super::portal::PortalBuilder;
use super::store::OpenStore;
use super::{log, stdout};
use clap::{ArgMatches, Command};
use portico_server::upkeep::{self, Maintained};
use portico_store::SweepReport;
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    configured("sweep", "End expired sessions, and remove leftovers from the store")
}

/// Runs the portal's maintenance and sweeps the store, and prints the results. If one fails, the other runs all the same.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let config = &configuration(matches)?;
    log::start(config);
    let (maintained, swept) = super::threads::start()?.block_on(async {
        let store = OpenStore::open_now(config).await?;
        let backend = store.backend();
        let builder = PortalBuilder::new(config, backend.clone());
        let mut maintained = Ok(None);
        for portal in &config.portals {
            let round = upkeep::maintain(&builder.runtime(portal).await?).await;
            maintained = upkeep::sum(maintained, round);
        }
        let mut swept = backend.sweep().await;
        store.wait_background().await;
        // Opening a local store has swept it already.
        if let (OpenStore::Local(store), Ok(swept)) = (&store, &mut swept) {
            swept.removed += store.swept_at_opening().removed;
            swept.bytes += store.swept_at_opening().bytes;
        }
        Ok::<_, Error>((maintained, swept))
    })?;
    let mut out = stdout::results();
    if let Ok(Some(maintained)) = &maintained {
        print_sessions(&mut out, maintained).map_err(Error::Output)?;
    }
    if let Ok(swept) = &swept {
        print_leftovers(&mut out, swept).map_err(Error::Output)?;
    }
    maintained?;
    swept?;
    Ok(ExitCode::SUCCESS)
}

fn print_sessions(out: &mut impl Write, maintained: &Maintained) -> io::Result<()> {
    let Maintained { expired, cleared, purged, .. } = maintained;
    writeln!(out, "expired {expired} sessions, cleared {cleared} ended ones, forgot {purged} sessions and ids")
}

fn print_leftovers(out: &mut impl Write, SweepReport { removed, bytes, foreign }: &SweepReport) -> io::Result<()> {
    writeln!(out, "removed {removed} leftovers of {bytes} bytes")?;
    foreign.iter().try_for_each(|name| writeln!(out, "not part of this store, left alone: {name}"))?;
    out.flush()
}
