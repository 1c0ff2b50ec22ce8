//! `portico serve`.

use super::error::Error;
use super::stop::Stop;
use super::store::Store;
use super::{descriptors, log, portal, stderr, stdout};
use crate::config::Config;
use crate::server::{Server, Tokens};
use crate::upkeep::Upkeep;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How long work that blocks may take to return when everything else has ended.
const BLOCKING_END: Duration = Duration::from_secs(5);

/// Serves until the process is told to end.
pub(super) fn serve(config: Config) -> Result<ExitCode, Error> {
    log::start(&config);
    descriptors::raise(&config);
    let tokio = super::threads::start()?;
    let served = tokio.block_on(run(config));
    tokio.shutdown_timeout(BLOCKING_END);
    served.map(|()| ExitCode::SUCCESS)
}

async fn run(config: Config) -> Result<(), Error> {
    if let Some(file) = config.settings.tokens.as_ref().and_then(Tokens::exposed_in) {
        tracing::warn!(file = %file.display(), "every user of this machine can read the access tokens");
    }
    // From here on a signal ends the process in order.
    let mut stop = Stop::new().map_err(Error::Start)?;
    let store = tokio::select! {
        store = Store::await_turn(&config) => store?,
        _ = stop.next() => return Ok(()),
    };
    let backend = store.backend();
    let runtime = portal::runtime(&config, backend.clone())?;
    let listening = |cause| Error::Listen { addr: config.listen, cause };
    let bound = Server::bind(config.listen, runtime.clone(), backend.clone(), config.settings);
    let server = bound.await.map_err(listening)?;
    let addr = server.local_addr().map_err(listening)?;
    if let Store::Local(store) = &store {
        store.describe_holder(&format!("portico serve at http://{addr}"));
    }
    let upkeep = config.maintenance_interval;
    let upkeep = upkeep.map(|every| Upkeep::start(runtime, backend.clone(), every, server.passes()));
    stderr::count_losses(server.lost_lines());
    announce(addr);
    tracing::info!(%addr, store = backend.info().summary, pid = std::process::id(), "serving");
    server.run(stop.requested()).await;
    if let Some(upkeep) = upkeep {
        upkeep.stop().await;
    }
    store.settle().await;
    tracing::info!("stopped");
    Ok(())
}

/// Prints the address of the server to standard output, on a thread, because its reader may not read.
fn announce(addr: SocketAddr) {
    std::thread::spawn(move || {
        if let Err(error) = stdout::tell(&format!("listening on http://{addr}")) {
            tracing::warn!(%error, "cannot write to standard output");
        }
    });
}
