//! The HTTP server around a portal.
//!
//! Invariants: the host decides about connections, sizes and times, the guest about everything else; no client can hold more
//! than [`Settings`] and [`limits`] allow; a stopping server lets running requests finish within its grace period.

mod access;
mod backlog;
mod base_url;
mod body;
mod connection;
mod cors;
mod credit;
mod cut;
mod exchange;
mod flow;
mod interim;
pub mod limits;
mod listener;
mod metrics;
mod origin;
mod outgoing;
mod pace;
mod peer;
mod portals;
mod problem;
mod readiness;
mod service;
mod state;
mod streams;
mod tokens;
mod turn;
mod upkeep_metrics;
mod wire;

pub use base_url::BaseUrl;
pub use cors::CorsOrigins;
pub use limits::Settings;
pub use listener::Server;
pub use portals::{Portal, Portals};
pub use tokens::{BadToken, TOKEN_FILE_MAX, TOKEN_MAX, TOKEN_MIN, TokenError, Tokens};
pub use upkeep_metrics::{UpkeepMetrics, UpkeepTask};
