//! The sizes and times that a client can drive. [`Settings`] has the configurable ones.

use super::base_url::BaseUrl;
use super::cors::CorsOrigins;
use super::tokens::Tokens;
use std::net::IpAddr;
use std::time::Duration;

/// The configurable limits. The defaults are those of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at once. A further one is answered 503 and closed.
    pub max_connections: usize,
    /// Requests at once that run a guest. A further one is answered 503.
    pub max_requests: usize,
    /// Time limit for the head of a connection's first request.
    pub head_timeout: Duration,
    /// Time limit for the wait between two requests, including the head of the second one. Most proxies keep connections for
    /// 60 s, and must not find one closed that they are about to use.
    pub keep_alive: Duration,
    /// How long a client may stall a body, in either direction. Bytes of a response that the client's system took in advance
    /// extend the limit by the time they last at 10 kB/s, to at most five times this value.
    pub body_idle_timeout: Duration,
    /// Lowest rate of a body in bytes a second; 0 for none. Measured over each `body_idle_timeout` of waiting for the client.
    pub body_min_rate: u64,
    /// How long running requests may take to finish at shutdown.
    pub shutdown_grace: Duration,
    /// Addresses whose `X-Request-Id`, `Forwarded` and `X-Forwarded-*` are trusted.
    pub trusted_proxies: Vec<IpAddr>,
    /// The URL under which clients reach the server. Without one, trusted proxies say it.
    pub base_url: Option<BaseUrl>,
    /// Whether guests may send interim responses (status 104). Some proxies, nginx among them, take such a response for the
    /// final one.
    pub interim_responses: bool,
    /// The origins whose pages may use the server from a browser.
    pub cors_origins: CorsOrigins,
    /// The tokens that admit clients. Without tokens all clients are admitted whose `Host` is a loopback name, which keeps out
    /// pages of other sites. Only a loopback address keeps out other machines.
    pub tokens: Option<Tokens>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_connections: 1_024,
            max_requests: 512,
            head_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            body_idle_timeout: Duration::from_secs(60),
            body_min_rate: 0,
            shutdown_grace: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            base_url: None,
            interim_responses: false,
            cors_origins: CorsOrigins::Own,
            tokens: None,
        }
    }
}

/// Time for a guest to end after its client has gone or was served. An interrupted
/// put ends within this time.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// Idle time that a connection is allowed during shutdown.
pub(super) const STOPPING_IDLE: Duration = Duration::from_millis(500);

/// Longest wait for the backend's answer to a readiness check.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the result of a readiness check is reused. Frequent requests then cost the backend nothing.
pub(super) const READY_KEPT: Duration = Duration::from_secs(1);

/// The `Retry-After` of busy answers, in seconds.
pub(super) const RETRY_AFTER: u32 = 1;

/// Most bytes of a request's header names and values, and again of its target.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Most headers of one request.
pub(super) const HEADERS: usize = 128;

/// Buffer of an HTTP/1 connection that opens while there are few, in bytes. The buffer grows to this size only
/// while bytes come fast.
pub const HTTP1_BUFFER: usize = 512 << 10;

/// The same for a connection that opens while there are many. A head must fit: twice [`HEAD_BYTES`], and the separators.
pub(super) const HTTP1_BUFFER_OF_MANY: usize = 160 << 10;

/// Number of connections up to which new ones get large buffers.
pub(super) const FEW_CONNECTIONS: usize = 32;

/// Received bytes of an HTTP/2 stream that wait for their guest.
pub(super) const HTTP2_STREAM_WINDOW: u32 = 512 << 10;

/// Received bytes of an HTTP/2 connection that wait for their guests.
pub(super) const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;

/// Largest HTTP/2 frame that a client may send, in bytes.
pub(super) const HTTP2_FRAME: u32 = 64 << 10;

/// Bytes of an HTTP/2 stream that wait to be sent.
pub(super) const HTTP2_SEND_BUFFER: usize = 256 << 10;

/// Concurrent streams of an HTTP/2 connection.
pub(super) const HTTP2_STREAMS: u32 = 128;

/// Largest piece of a response for an HTTP/2 stream at once, in bytes. A client that takes less than one piece in
/// each [`Settings::body_idle_timeout`] counts as stalled.
pub(super) const HTTP2_PIECE: usize = 64 << 10;

/// Bytes per open HTTP/2 stream after which a stream without progress counts as held back by its client. One stream needs its
/// next piece, and a frame on each side of that.
pub(super) const HTTP2_SHARE: u64 = (HTTP2_PIECE + 2 * (16 << 10)) as u64;

/// Unsent bytes that the kernel accepts. With fewer, a fast client waits for this server more often. With more, a slow client
/// seems to take nothing for long, and the kernel uses more memory.
pub(super) const UNSENT: u32 = 128 << 10;

/// Least rate in bytes a second of a client that reads buffered bytes.
pub(super) const SLOW_RATE: u64 = 10_000;

/// Most credit for buffered bytes, in multiples of [`Settings::body_idle_timeout`].
pub(super) const CREDIT_MAX: u32 = 4;

/// Number of checks of a client within its idle timeout.
pub(super) const LOOKS: u32 = 4;

/// Bytes that make a connection without a request count as active. Answers to pings are smaller.
pub(super) const MOVING: u64 = 1 << 10;

/// After an answer to a partly unread request: bytes and time for which the rest is read and discarded, so that the client
/// can read the answer. A client that sends more is cut off.
pub(super) const LINGER_BYTES: u64 = 256 << 20;
/// See [`LINGER_BYTES`].
pub(super) const LINGER_TIME: Duration = Duration::from_secs(10);

/// Most interim responses of one request. Caddy 2.6.2 answers 502 at the sixth, Apache 2.4 at the eleventh (tried).
pub(super) const INTERIM_MAX: u32 = 3;

/// Most bytes of one interim response.
pub(super) const INTERIM_BYTES: usize = 4 << 10;

/// Longest `X-Request-Id` that is accepted from a proxy.
pub(super) const REQUEST_ID_MAX: usize = 64;

/// Most bytes of the log that wait to be written. Further lines are lost and counted, because requests never wait for the
/// reader of the log.
pub const LOG_QUEUE: usize = 1 << 20;
