//! What a Rust guest wants of `portico:storage`: a typed [`Store`], [`std::io`] over its streams, and errors that
//! are never texts.
//!
//! A guest gets one capability, the store of the scope that its host chose, and nothing else: no path, no
//! credential, no socket. Content goes in and comes out as streams. All of it is all-or-nothing: after `Ok` it is
//! durable and visible whole, after an error nothing of it is.
//!
//! # Examples
//!
//! Hand a stream over to the host, which pulls it to its end; none of its bytes pass through this guest:
//!
//! ```no_run
//! use portico_guest::{FinalOptions, Store, stdin};
//!
//! let store = Store::open();
//! let stored = store.put_final("report-2026", stdin(), FinalOptions::new().content_type("text/csv"))?;
//! println!("{} bytes, SHA-256 {}", stored.size, stored.sha256);
//! # Ok::<(), portico_guest::Error>(())
//! ```
//!
//! Make content, and publish it whole or not at all:
//!
//! ```no_run
//! use portico_guest::{Error, Expected, FinalOptions, Store};
//! use std::io::Write;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = Store::open().create_final("squares", FinalOptions::new())?;
//! let mut sink = writer.sink()?;
//! for n in 0..1_000u64 {
//!     writeln!(sink, "{}", n * n)?;
//! }
//! drop(sink);
//! match writer.finish(Expected::default()) {
//!     Ok(stored) => println!("stored as {}/{}", stored.bucket, stored.key),
//!     Err(Error::Conflict) => println!("there is something else of that name"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(()) }
//! ```
//!
//! Read a range; a failure of the store in the middle of it is an [`io::Error`](std::io::Error), never a silent end:
//!
//! ```no_run
//! use portico_guest::{Error, Store};
//! use std::io::{BufRead, Read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open();
//! let squares = store.open_final("squares")?;
//! println!("{} bytes", squares.receipt().size);
//! let mut text = String::new();
//! match squares.stream(100..200)?.read_to_string(&mut text) {
//!     Ok(_) => println!("{text}"),
//!     Err(error) => match Error::of_io(&error) {
//!         Some(Error::Unavailable { retry_after }) => println!("again after {retry_after:?}"),
//!         _ => return Err(error.into()),
//!     },
//! }
//! # Ok(()) }
//! ```
//!
//! Walk a listing, however long, a page at a time in memory:
//!
//! ```no_run
//! # use portico_guest::Store;
//! let total = Store::open().finals().try_fold(0, |sum, object| Ok::<_, portico_guest::Error>(sum + object?.size))?;
//! println!("{total} bytes");
//! # Ok::<(), portico_guest::Error>(())
//! ```
//!
//! `examples/store-stdin.rs` is a whole guest.
//!
//! # When to use what
//!
//! - [`Store::put_final`] and [`Store::put_temp_part`] for content that comes from elsewhere: a request's body,
//!   standard input, another object. It is the fast way, and the host counts and hashes what it pulls.
//! - [`Store::create_final`] and [`Store::create_temp_part`] for content that the guest makes, or whose last word
//!   (a trailer, say) decides whether it is published at all.
//! - Temporary parts and [`Store::assemble_final`] for content that comes in pieces, in any order.
//! - Records for what a guest must remember: small documents, replaced by compare-and-swap.
//! - A portal that answers HTTP implements [`bindings::exports::wasi::http::incoming_handler::Guest`] and names its
//!   type to [`export_portal!`]. A program is an ordinary `fn main`.
//! - [`bindings`] for anything that is not wrapped here.
//!
//! Outside of wasm the crate compiles, for documentation and for tests of a guest's own logic; a call of the host
//! panics there.

pub mod bindings;
mod digest;
mod error;
mod options;
mod pages;
mod reader;
mod receipt;
mod store;
mod streams;
mod writer;

pub use bindings::{
    export_portal,
    wasi::io::streams::{InputStream, OutputStream},
};
pub use digest::{Digest, DigestFormError};
pub use error::{Argument, Error, Result};
pub use options::{Expected, FinalOptions, IfExists, PartOptions};
pub use pages::{Entries, Page};
pub use reader::FinalReader;
pub use receipt::{ListedPart, Record, StoredObject, TempPart};
pub use store::{Store, StoreInfo};
pub use streams::{ReadStream, Sink};
pub use writer::{FinalWriter, PartWriter};

/// The guest's standard input, to hand it over to the host. [`std::io::stdin`] reads the same.
#[must_use]
pub fn stdin() -> InputStream {
    bindings::wasi::cli::stdin::get_stdin()
}
