//! The server: its port, and its end.

use super::connection;
use super::limits::{SETTLE, Settings};
use super::metrics::{CONNECTION, Metrics, Passes};
use super::readiness::Readiness;
use super::state::State;
use crate::runtime::Runtime;
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

/// Answer to a connection beyond [`Settings::max_connections`].
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How long to wait after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that has its port and does not accept yet.
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
}

impl Server {
    /// Takes a port. `backend` is the one that the guests of `runtime` have.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(
        addr: SocketAddr,
        runtime: Runtime,
        backend: Arc<dyn Backend>,
        mut settings: Settings,
    ) -> io::Result<Server> {
        settings.trusted_proxies.iter_mut().for_each(|proxy| *proxy = proxy.to_canonical());
        let listener = TcpListener::bind(addr).await?;
        let connections = Arc::new(Semaphore::new(settings.max_connections));
        let requests = Arc::new(Semaphore::new(settings.max_requests));
        let metrics = Arc::new(Metrics::new(&settings, &backend.info()));
        let (stopping, cutting) = (CancellationToken::new(), CancellationToken::new());
        let readiness = Readiness::new(move || {
            let backend = backend.clone();
            async move { backend.ready().await }
        });
        let state = State { runtime, readiness, settings, connections, requests, stopping, cutting, metrics };
        Ok(Server { listener, state: Arc::new(state) })
    }

    /// The address that it listens on, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where to count what is done without a client, so that its metrics tell it.
    pub fn passes(&self) -> Passes {
        self.state.metrics.passes.clone()
    }

    /// The metric that counts lost lines of the log.
    pub fn lost_lines(&self) -> Counter {
        self.state.metrics.lost_lines.clone()
    }

    /// Serves until `stop` resolves; then no connection is accepted any more, requests that run may finish within
    /// [`Settings::shutdown_grace`], the rest is cut off and settles.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Server { listener, state } = self;
        // Also where the future of this function is dropped.
        let cutting = state.cutting.clone().drop_guard();
        let mut stop = std::pin::pin!(stop);
        let mut full = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, addr) = match accepted {
                // A client of IPv4 has an address of IPv4, on a socket of IPv6 as well.
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
            tracing::warn!("cutting off what is still running");
        }
        drop(cutting);
        if !drained(&state.requests, state.settings.max_requests, SETTLE + ACCEPT_PAUSE).await {
            tracing::warn!("some guests did not return in time");
        }
    }
}

/// Waits until all permits are back; false if that takes longer than `limit`.
async fn drained(permits: &Semaphore, count: usize, limit: Duration) -> bool {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    tokio::time::timeout(limit, permits.acquire_many(count)).await.is_ok()
}

/// Tells a client that there is no room for its connection, if it can be told at once. Only the first of many goes to
/// the log.
fn refuse(stream: &TcpStream, addr: SocketAddr, first: bool) {
    let told = stream.try_write(TOO_MANY_CONNECTIONS).is_ok();
    if first {
        tracing::warn!(%addr, told, "too many connections; refusing them until one ends");
    }
}
