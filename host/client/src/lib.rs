//! A client of a Portico portal: uploads, downloads, lists and removes files.
//!
//! Invariants: a part that the server has acknowledged is never sent again; after a failure the client asks the server for
//! the state, and continues from the answer; content passes in pieces of 256 KiB, so memory does not
//! grow with a file; each answer is parsed, checked and bounded by `limits`; a downloaded file gets its final name only
//! when it is complete and its digest is verified; nothing here knows of a command line.

mod address;
mod client;
mod error;
mod event;
mod limits;
mod remote;
mod transfer;

pub use address::{BearerToken, ServerUrl};
pub use client::Client;
pub use error::{Error, printable};
pub use event::{Event, Observer};
pub use remote::{Options, Receipt};
pub use transfer::{Destination, Downloaded, PutOptions, Uploaded};
