//! Transfers, each retried until it succeeds or nothing has succeeded for too long.

mod download;
mod list;
mod parts;
mod pipe;
mod retry;
mod source;
mod target;
mod upload;

pub use download::{Destination, Downloaded};
pub use upload::{PutOptions, Uploaded};
