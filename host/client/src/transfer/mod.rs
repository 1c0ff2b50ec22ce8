//! Transfers of files, each tried again until it is done or nothing has gone well for too long.

mod download;
mod list;
mod parts;
mod pipe;
mod retry;
mod source;
mod target;
mod upload;

pub use download::{Got, To};
pub use upload::{Put, PutOptions};
