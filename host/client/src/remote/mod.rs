//! The server: its connections, and one attempt of each request.

mod api;
mod connect;
mod server;

pub use api::Receipt;
pub(crate) use api::{Announced, PartUpload, Session, Status, digest_of_field, file_path};
pub use connect::Options;
pub(crate) use server::{ANSWER_LIMIT, OutgoingBody, Pulse, RemoteServer, STALL_LIMIT, empty};
