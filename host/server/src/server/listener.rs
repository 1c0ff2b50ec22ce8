//! The server: its socket, its connections and its shutdown.

use super::connection;
use super::limits::{SETTLE, Settings};
use super::metrics::{CONNECTION, Metrics};
use super::portals::Portals;
use super::readiness::Readiness;
use super::state::ServerState;
use super::upkeep_metrics::UpkeepMetrics;
use portico_store::Backend;
use prometheus_client::metrics::counter::Counter;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The answer to a connection beyond [`Settings::max_connections`].
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Pause after a failed accept, such as for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens, and does not accept connections yet.
pub struct Server {
    listener: TcpListener,
    state: Arc<ServerState>,
}

impl Server {
    /// Binds the address. `backend` is the backend of the guests of `portals`.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(
        addr: SocketAddr,
        portals: impl Into<Portals>,
        backend: Arc<dyn Backend>,
        mut settings: Settings,
    ) -> io::Result<Server> {
        settings.trusted_proxies.iter_mut().for_each(|proxy| *proxy = proxy.to_canonical());
        let listener = TcpListener::bind(addr).await?;
        let connections = Arc::new(Semaphore::new(settings.max_connections));
        let requests = Arc::new(Semaphore::new(settings.max_requests));
        let portals = portals.into();
        let metrics = Arc::new(Metrics::new(&settings, &backend.info(), &portals));
        let (stopping, cutting) = (CancellationToken::new(), CancellationToken::new());
        let readiness = Readiness::new(move || {
            let backend = backend.clone();
            async move { backend.ready().await }
        });
        let state = ServerState { portals, readiness, settings, connections, requests, stopping, cutting, metrics };
        Ok(Server { listener, state: Arc::new(state) })
    }

    /// Returns the address that the server listens on, with the actual port.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns the place in the server's metrics for what background tasks report.
    pub fn upkeep_metrics(&self) -> UpkeepMetrics {
        self.state.metrics.upkeep.clone()
    }

    /// Returns the counter of lost log lines in the server's metrics.
    pub fn lost_lines(&self) -> Counter {
        self.state.metrics.lost_lines.clone()
    }

    /// Serves until `stop` resolves. Then accepts no connection, lets running requests finish within
    /// [`Settings::shutdown_grace`], and cuts off the rest.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Server { listener, state } = self;
        // A guard, so that dropping this future cuts off the connections too.
        let cutting = state.cutting.clone().drop_guard();
        let mut stop = std::pin::pin!(stop);
        let mut full = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, addr) = match accepted {
                // An IPv4 client has its IPv4 address even on an IPv6 socket.
                Ok((stream, addr)) => (stream, SocketAddr::new(addr.ip().to_canonical(), addr.port())),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&state.connections).try_acquire_owned() else {
                state.metrics.refused(CONNECTION);
                refuse(&stream, addr, !full);
                full = true;
                continue;
            };
            full = false;
            state.metrics.accepted.inc();
            let serving = connection::serve(stream, addr, state.clone());
            tokio::spawn(async move {
                serving.await;
                drop(permit);
            });
        }
        drop(listener);
        tracing::info!(grace_s = state.settings.shutdown_grace.as_secs(), "stopping");
        state.stopping.cancel();
        if !drained(&state.connections, state.settings.max_connections, state.settings.shutdown_grace).await {
            tracing::warn!("cutting off the requests that still run");
        }
        drop(cutting);
        if !drained(&state.requests, state.settings.max_requests, SETTLE + ACCEPT_PAUSE).await {
            tracing::warn!("some guests did not return in time");
        }
    }
}

/// Waits until all permits are returned. Returns false after `limit`.
async fn drained(permits: &Semaphore, count: usize, limit: Duration) -> bool {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    tokio::time::timeout(limit, permits.acquire_many(count)).await.is_ok()
}

/// Answers 503 to a connection beyond the limit, if that is possible at once. Logs only the first of many.
fn refuse(stream: &TcpStream, addr: SocketAddr, first: bool) {
    let told = stream.try_write(TOO_MANY_CONNECTIONS).is_ok();
    if first {
        tracing::warn!(%addr, told, "too many connections; new ones are refused until one ends");
    }
}
