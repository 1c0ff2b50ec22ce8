//! The HTTP server around a portal.
//!
//! Invariants: the host decides about connections, sizes and times, and the guest about everything else; no client
//! can hold more than [`Settings`] and [`limits`] name; a server that stops finishes what runs, as far as it can.

mod access;
mod backlog;
mod body;
mod connection;
mod credit;
mod cut;
mod exchange;
mod flow;
pub mod limits;
mod listener;
mod metrics;
mod outgoing;
mod pace;
mod peer;
mod problem;
mod readiness;
mod service;
mod state;
mod streams;
mod tokens;
mod turn;
mod wire;

pub use limits::Settings;
pub use listener::Server;
pub use metrics::{Passes, Task};
pub use tokens::{BadToken, TOKEN_FILE_MAX, TOKEN_MAX, TOKEN_MIN, TokenError, Tokens};
