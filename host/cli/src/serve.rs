//! `portico serve`.

use super::args::{configuration, configured, switch};
use super::error::Error;
use super::portal::PortalBuilder;
use super::stop::Stop;
use super::store::OpenStore;
use super::watch::Watch;
use super::{descriptors, log, stderr, stdout, threads};
use crate::config::Config;
use clap::{ArgMatches, Command};
use portico_server::server::{Server, Tokens};
use portico_server::upkeep::Upkeep;
use std::net::SocketAddr;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    configured("serve", "Serve the portal over HTTP").arg(
        switch("watch").help("Replace a portal when its file changes, without ending requests; for authors of portals"),
    )
}

/// Serves until a signal ends the process.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let config = configuration(matches)?;
    log::start(&config);
    descriptors::raise(&config);
    threads::run(serve(config, matches.get_flag("watch"))).map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config, is_watched: bool) -> Result<(), Error> {
    if let Some(file) = config.settings.tokens.as_ref().and_then(Tokens::exposed_in) {
        tracing::warn!(file = %file.display(), "every user of this machine can read the access tokens");
    }
    // From now on a signal ends the process in order.
    let mut stop = Stop::new().map_err(Error::Start)?;
    let store = tokio::select! {
        store = OpenStore::open(&config.store) => store?,
        _ = stop.next() => return Ok(()),
    };
    let backend = store.backend();
    let watch = is_watched.then(|| Watch::new(&config));
    let builder = PortalBuilder::new(&config, backend.clone());
    let portals = tokio::select! {
        portals = builder.all(&config) => portals?,
        _ = stop.next() => return Ok(()),
    };
    let listening = |cause| Error::Listen { addr: config.listen, cause };
    let bound = Server::bind(config.listen, portals.clone(), backend.clone(), config.settings);
    let server = bound.await.map_err(listening)?;
    let addr = server.local_addr().map_err(listening)?;
    if let OpenStore::Local(store) = &store {
        store.describe_holder(&format!("portico serve at http://{addr}"));
    }
    let upkeep = config.maintenance_interval;
    let upkeep = upkeep.map(|every| Upkeep::start(portals.clone(), backend.clone(), every, server.upkeep_metrics()));
    stderr::count_losses(server.lost_lines());
    announce(addr);
    tracing::info!(%addr, store = backend.info().summary, pid = std::process::id(), "serving");
    let watching = watch.map(|watch| tokio::spawn(watch.run(portals, builder)));
    server.run(stop.requested()).await;
    if let Some(watching) = watching {
        watching.abort();
    }
    if let Some(upkeep) = upkeep {
        upkeep.stop().await;
    }
    store.wait_background().await;
    tracing::info!("stopped");
    Ok(())
}

/// Prints the server's address to standard output. On a thread, because the reader may block.
fn announce(addr: SocketAddr) {
    std::thread::spawn(move || {
        if let Err(error) = stdout::print(&format!("listening on http://{addr}")) {
            tracing::warn!(%error, "cannot write to standard output");
        }
    });
}
