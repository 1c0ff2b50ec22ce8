//! `portico serve`.

use super::{Error, log, portal, store};
use crate::config::Config;
use crate::runtime::Runtime;
use crate::server::Server;
use portico_store::{Backend, Scope};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long work that blocks may take to return when everything else has ended.
const BLOCKING_END: Duration = Duration::from_secs(5);

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
    let stop = Stop::new().map_err(Error::Start)?;
    let store = store::await_turn(&config).await?;
    let component = portal::component(&config)?;
    let store = Arc::new(store);
    let backend: Arc<dyn Backend> = store.clone();
    let runtime = Runtime::new(&component, backend.clone(), Scope::root(), config.limits)?;
    let listening = |cause| Error::Listen { addr: config.listen, cause };
    let server = Server::bind(config.listen, runtime, backend.clone(), config.settings).await.map_err(listening)?;
    let addr = server.local_addr().map_err(listening)?;
    store.describe_holder(&format!("portico serve at http://{addr}"));
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{addr}").and_then(|()| out.flush()).map_err(Error::Output)?;
    tracing::info!(%addr, store = backend.info().summary, pid = std::process::id(), "serving");
    server.run(stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that end the process, and one that must not: of a file-size limit, whose write fails with an error too.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    _file_size: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Stop> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Resolves at the first signal. A second one ends the process at once.
    async fn requested(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(1);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
