//! A client of a portal: what `put`, `get`, `ls` and `rm` do, with nothing of a command line in it.
//!
//! Invariants: a part that a server has acknowledged is never sent to it again; after whatever failed the server is asked
//! how things stand, and what it says is believed, not what was hoped; content passes through in pieces of [`CHUNK`]
//! bytes, so that the size of a file costs no memory; each answer of a server is parsed, checked and bounded by [`limits`]; a file that was got has its final name only when it is whole and
//! its digest was compared.

mod api;
mod connect;
mod download;
mod error;
mod event;
mod limits;
mod list;
mod parts;
mod pipe;
mod retry;
mod server;
mod source;
mod target;
mod upload;

pub use api::Receipt;
pub use connect::{Options, ServerUrl, Token};
pub use download::{Got, To};
pub use error::{Error, printable};
pub use event::{Event, Observer};
pub use server::Server;
pub use upload::{Put, PutOptions};

use std::time::Duration;

/// Bytes of a file that are read, or received, at a time. A transfer has a few of them in memory.
const CHUNK: usize = 256 << 10;

/// A portal, and how long its client is patient with it.
pub struct Client {
    server: Server,
    retry: Duration,
}

impl Client {
    /// A client of that server that tries what fails again for so long after the last thing that went well.
    pub fn new(server: Server, retry: Duration) -> Client {
        Client { server, retry }
    }
}
