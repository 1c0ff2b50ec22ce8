//! A client of a portal: what `put`, `get`, `ls` and `rm` do, with nothing of a command line in it.
//!
//! Invariants: a part that a server has acknowledged is never sent to it again; after whatever failed the server is asked
//! how things stand, and what it says is believed, not what was hoped; content passes through in pieces of [`CHUNK`]
//! bytes, so that the size of a file costs no memory; each answer of a server is parsed, checked and bounded by [`limits`]; a file that was got has its final name only when it is whole and
//! its digest was compared.

mod address;
mod client;
mod error;
mod event;
mod limits;
mod remote;
mod transfer;

pub use address::{ServerUrl, Token};
pub use client::Client;
pub use error::{Error, printable};
pub use event::{Event, Observer};
pub use remote::{Options, Receipt, Server};
pub use transfer::{Got, Put, PutOptions, To};
