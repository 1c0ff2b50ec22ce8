//! One connection: HTTP/1.1 or HTTP/2, as its first bytes decide.

use super::cut::Cut;
use super::limits::{
    FEW_CONNECTIONS, HEAD_BYTES, HEADERS, HTTP1_BUFFER, HTTP1_BUFFER_OF_MANY, HTTP2_CONNECTION_WINDOW, HTTP2_FRAME,
    HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW, HTTP2_STREAMS, STOPPING_IDLE, Settings, UNSENT,
};
use super::peer::{Idle, Peer};
use super::service;
use super::state::ServerState;
use super::streams::Streams;
use super::wire::Wire;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use portico_store::chain;
use socket2::SockRef;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Serves a connection until it ends, is idle for too long, or the server stops.
pub(super) async fn serve(stream: TcpStream, addr: SocketAddr, state: Arc<ServerState>) {
    let socket = SockRef::from(&stream);
    if let Err(error) = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_notsent_lowat(UNSENT)) {
        tracing::debug!(%addr, %error, "cannot set TCP_NODELAY and TCP_NOTSENT_LOWAT");
    }
    let settings = &state.settings;
    let peer = Arc::new(Peer::new(addr, settings));
    let wire = TokioIo::new(Wire::new(stream, settings, peer.wire.clone()));
    let of_requests = (state.clone(), peer.clone());
    let service = service_fn(move |request| {
        let (state, peer) = of_requests.clone();
        async move { Ok::<_, Infallible>(service::handle(state, peer, request).await) }
    });
    let builder = builder(settings, state.open_connections());
    let mut connection = std::pin::pin!(builder.serve_connection(wire, service));
    let mut limit = Idle { unasked: settings.head_timeout, between: settings.keep_alive };
    let mut check = Instant::now() + limit.unasked.min(limit.between);
    let mut stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%addr, error = chain(&*error), "the connection failed");
                }
                return;
            }
            () = state.cutting.cancelled() => {
                peer.wire.cut.give(Cut::Stopping);
                return;
            }
            () = state.stopping.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                // `graceful_shutdown` waits for a head that has begun to arrive; this limit does not.
                limit = Idle {
                    unasked: limit.unasked.min(STOPPING_IDLE),
                    between: limit.between.min(STOPPING_IDLE),
                };
                check = Instant::now() + STOPPING_IDLE;
            }
            () = tokio::time::sleep_until(check) => {
                let now = Instant::now();
                match peer.idle_until(limit) {
                    Some(end) if end <= now => return,
                    Some(end) => check = end,
                    None => check = now + limit.unasked.min(limit.between),
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
        // hyper counts from the end of the previous response, so [`Idle`] enforces the limit for the first head.
        .header_read_timeout(settings.head_timeout.max(settings.keep_alive))
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
        // No pings, because an answer to a ping waits behind everything that a slow client has yet to read.
        .max_send_buf_size(HTTP2_SEND_BUFFER);
    builder
}
