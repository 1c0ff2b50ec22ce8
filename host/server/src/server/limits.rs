//! Every size and time that a client can drive, by name. Those that an operator may change are in [`Settings`].

use super::tokens::Tokens;
use std::net::IpAddr;
use std::time::Duration;

/// What an operator may change. The defaults are those of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at once; a client beyond them is answered 503 and closed.
    pub max_connections: usize,
    /// Requests at once that a guest runs for; one beyond them is answered 503.
    pub max_requests: usize,
    /// How long a client may take for the head of the first request of its connection.
    pub head_timeout: Duration,
    /// How long a connection may be idle between two requests, and take for the head of the second one. Proxies keep
    /// theirs for 60 s mostly, and must not find one closed that they are about to use.
    pub keep_alive: Duration,
    /// How long a body may stand still, in either direction, while it is the client's turn. What a client's system took of a
    /// response at once is added for as long as it lasts at 10 kB/s, at most four times this.
    pub body_idle_timeout: Duration,
    /// Slowest rate of a body in bytes a second, taken over each `body_idle_timeout` of waiting for the client; 0 for
    /// none.
    pub body_min_rate: u64,
    /// How long running requests may take to finish after the server was told to stop.
    pub shutdown_grace: Duration,
    /// Whose `X-Request-Id` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who is let in. Without any it is everybody who asks for this machine by a name of its own, which keeps pages of
    /// other sites out; other machines are kept out by an address of this one alone.
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
            tokens: None,
        }
    }
}

/// How long a guest may run on after its exchange is over: its client has gone, or has the whole response. A put
/// whose source was cut off settles in this time.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// How long a connection may be idle once the server is stopping.
pub(super) const STOPPING_IDLE: Duration = Duration::from_millis(500);

/// How long the backend may take to say that it is ready, before who asks is told that it does not answer.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the backend's word on that is kept: asking more often costs it nothing.
pub(super) const READY_KEPT: Duration = Duration::from_secs(1);

/// What a client is told to wait before it tries again, in seconds.
pub(super) const RETRY_AFTER: u32 = 1;

/// The head of a request: all names and values of its headers, and its target, in bytes each.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Headers of one request.
pub(super) const HEADERS: usize = 128;

/// Read and write buffer of an HTTP/1 connection, in bytes, which it grows to only while bytes come fast; of one that is
/// opened while there are few.
pub const HTTP1_BUFFER: usize = 512 << 10;

/// The same of one that comes when there are many. A head must fit in: [`HEAD_BYTES`] twice, and what stands between.
pub(super) const HTTP1_BUFFER_OF_MANY: usize = 160 << 10;

/// Connections that may have large buffers.
pub(super) const FEW_CONNECTIONS: usize = 32;

/// Received bytes of one HTTP/2 stream that wait for their guest.
pub(super) const HTTP2_STREAM_WINDOW: u32 = 512 << 10;

/// Received bytes of one HTTP/2 connection that wait for their guests.
pub(super) const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;

/// Largest HTTP/2 frame that a client may send, in bytes.
pub(super) const HTTP2_FRAME: u32 = 64 << 10;

/// Bytes of one HTTP/2 stream that wait to be sent.
pub(super) const HTTP2_SEND_BUFFER: usize = 256 << 10;

/// Streams of one HTTP/2 connection at once.
pub(super) const HTTP2_STREAMS: u32 = 128;

/// The largest piece of a response that an HTTP/2 stream is given at a time, in bytes. A client that takes less than this in
/// each [`Settings::body_idle_timeout`] counts as one that takes nothing.
pub(super) const HTTP2_PIECE: usize = 64 << 10;

/// Bytes that go out for each stream of an HTTP/2 connection before one that had none of them is known to be kept back by its
/// client: its own next piece, and a frame on each side of it.
pub(super) const HTTP2_SHARE: u64 = (HTTP2_PIECE + 2 * (16 << 10)) as u64;

/// Bytes that the kernel accepts and does not send yet. Fewer make a fast client wait for this server more often; with more a
/// slow one is not seen to take anything for long, and the memory is the kernel's.
pub(super) const UNSENT: u32 = 128 << 10;

/// Bytes a second at which a client that reads what its system has taken for it is not stalled.
pub(super) const SLOW_RATE: u64 = 10_000;

/// How many times [`Settings::body_idle_timeout`] what a client's system has taken may last its program.
pub(super) const CREDIT_MAX: u32 = 4;

/// How often within the time that a client may stand still it is looked at whether it does.
pub(super) const LOOKS: u32 = 4;

/// Bytes that a connection without a request must write to count as moving, so that answers to pings do not.
pub(super) const MOVING: u64 = 1 << 10;

/// After an answer that left a part of the request unread: bytes and time in which the rest is read and thrown away,
/// so that the client gets to read the answer. Whoever sends more is cut off.
pub(super) const LINGER_BYTES: u64 = 256 << 20;
/// See [`LINGER_BYTES`].
pub(super) const LINGER_TIME: Duration = Duration::from_secs(10);

/// Longest `X-Request-Id` that is taken over.
pub(super) const REQUEST_ID_MAX: usize = 64;

/// Most bytes of the log that wait to be written. Lines beyond them are lost and counted, because requests never wait for the
/// reader of the log.
pub const LOG_QUEUE: usize = 1 << 20;
