//! One connection: HTTP/1.1 or HTTP/2, told apart by the client's first bytes.

use super::limits::{
    FEW_CONNECTIONS, HEAD_BYTES, HEADERS, HTTP1_BUFFER, HTTP1_BUFFER_OF_MANY, HTTP2_CONNECTION_WINDOW, HTTP2_FRAME,
    HTTP2_PING, HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW, HTTP2_STREAMS, STOPPING_IDLE, Settings,
};
use super::streams::Streams;
use super::wire::{Wire, WireState};
use super::{Phase, State, service};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the requests of a connection share.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) wire: Arc<WireState>,
    busy: Mutex<Busy>,
}

/// How many requests are being answered, and since when that is none.
struct Busy {
    requests: usize,
    since: Instant,
}

impl Peer {
    fn new(addr: SocketAddr) -> Peer {
        let busy = Mutex::new(Busy { requests: 0, since: Instant::now() });
        Peer { addr, wire: Arc::default(), busy }
    }

    /// Counts a request until its exchange is over.
    pub(super) fn begin(self: &Arc<Self>) -> Ongoing {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        Ongoing(self.clone())
    }

    /// When no request will have been answered for `limit`; `None` while one is, or its answer is still being sent.
    fn idle_until(&self, limit: Duration) -> Option<Instant> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = busy.requests == 0 && !self.wire.sending.load(Ordering::Relaxed);
        idle.then(|| busy.since + limit)
    }
}

/// A request that is being answered.
pub(super) struct Ongoing(Arc<Peer>);

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.requests -= 1;
        busy.since = Instant::now();
    }
}

/// Serves a connection until it ends, is idle for too long, or the server stops.
pub(super) async fn serve(stream: TcpStream, addr: SocketAddr, state: Arc<State>, mut phase: watch::Receiver<Phase>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%addr, %error, "cannot set TCP_NODELAY");
    }
    let peer = Arc::new(Peer::new(addr));
    let settings = &state.settings;
    let wire = TokioIo::new(Wire::new(stream, settings.body_idle_timeout, peer.wire.clone()));
    let of_requests = (state.clone(), peer.clone());
    let service = service_fn(move |request| {
        let (state, peer) = of_requests.clone();
        async move { Ok::<_, Infallible>(service::handle(state, peer, request).await) }
    });
    let builder = builder(settings, state.open_connections());
    let mut connection = std::pin::pin!(builder.serve_connection(wire, service));
    let mut limit = settings.head_timeout;
    let mut check = Instant::now() + limit;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%addr, error = super::chain(&*error), "connection failed");
                }
                return;
            }
            changed = phase.changed() => match *phase.borrow_and_update() {
                Phase::Stopping if changed.is_ok() => {
                    connection.as_mut().graceful_shutdown();
                    // That waits for a head that has begun to arrive; this does not.
                    limit = limit.min(STOPPING_IDLE);
                    check = Instant::now() + limit;
                }
                Phase::Running if changed.is_ok() => {}
                _ => return,
            },
            () = tokio::time::sleep_until(check) => {
                let now = Instant::now();
                match peer.idle_until(limit) {
                    Some(end) if end <= now => return,
                    Some(end) => check = end,
                    None => check = now + limit,
                }
            }
        }
    }
}

fn builder(settings: &Settings, connections: usize) -> auto::Builder<Streams> {
    let buffer = if connections <= FEW_CONNECTIONS { HTTP1_BUFFER } else { HTTP1_BUFFER_OF_MANY };
    let mut builder = auto::Builder::new(Streams { idle: settings.body_idle_timeout });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_headers(HEADERS)
        .max_buf_size(buffer);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    builder
}
