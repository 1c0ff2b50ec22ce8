//! The server: how it is reached, and each request of a portal's interface, once.

mod api;
mod connect;
mod server;

pub use api::Receipt;
pub(crate) use api::{Announced, Part, Session, Status, digest_of_field, file_path};
pub use connect::Options;
pub use server::Server;
pub(crate) use server::{ANSWER, Body, Pulse, STANDSTILL, empty};
