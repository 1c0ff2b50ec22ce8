//! `portico serve`.

use super::stop::Stop;
use super::store::Store;
use super::{Error, log, portal};
use crate::config::Config;
use crate::server::Server;
use portico_store::{Backend, SweepReport};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long work that blocks may take to return when everything else has ended.
const BLOCKING_END: Duration = Duration::from_secs(5);

/// Between two sweeps of a store that is not swept at opening. The first comes at a random time within this one, so that
/// processes that start together do not sweep together.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Serves until the process is told to end.
pub(super) fn serve(config: Config) -> Result<ExitCode, Error> {
    log::start(&config);
    let tokio = super::tokio()?;
    let served = tokio.block_on(run(config));
    tokio.shutdown_timeout(BLOCKING_END);
    served.map(|()| ExitCode::SUCCESS)
}

async fn run(config: Config) -> Result<(), Error> {
    // From here on a signal ends the process in order.
    let mut stop = Stop::new().map_err(Error::Start)?;
    let store = tokio::select! {
        store = Store::await_turn(&config) => store?,
        () = stop.next() => return Ok(()),
    };
    let backend = store.backend();
    let runtime = portal::runtime(&config, backend.clone())?;
    let listening = |cause| Error::Listen { addr: config.listen, cause };
    let server = Server::bind(config.listen, runtime, backend.clone(), config.settings).await.map_err(listening)?;
    let addr = server.local_addr().map_err(listening)?;
    let sweeps = match &store {
        Store::Local(store) => {
            store.describe_holder(&format!("portico serve at http://{addr}"));
            None
        }
        Store::S3(_) => Some(tokio::spawn(sweep_by_timer(backend.clone()))),
    };
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{addr}").and_then(|()| out.flush()).map_err(Error::Output)?;
    tracing::info!(%addr, store = backend.info().summary, pid = std::process::id(), "serving");
    server.run(stop.requested()).await;
    if let Some(sweeps) = sweeps {
        sweeps.abort();
    }
    store.settle().await;
    tracing::info!("stopped");
    Ok(())
}

/// Sweeps a store again and again.
async fn sweep_by_timer(store: Arc<dyn Backend>) {
    // Without randomness the first sweep comes at once, which is merely early.
    let share = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    let mut wait = SWEEP_EVERY.mul_f64(share);
    loop {
        tokio::time::sleep(wait).await;
        wait = SWEEP_EVERY;
        match store.sweep().await {
            Ok(SweepReport { removed, bytes, foreign }) => {
                tracing::info!(removed, bytes, foreign = foreign.len(), "swept");
                for name in foreign {
                    tracing::debug!(name, "not a thing of this store; it is left alone");
                }
            }
            Err(error) => tracing::warn!(error = crate::fault::chain(&error), "the store could not be swept"),
        }
    }
}
