//! The SDK for Rust guests of `portico:storage`: a typed [`Store`], what a portal needs of HTTP, and a store in memory for
//! native tests.
//!
//! A guest gets one capability, the store of the scope that its host chose: no path, no credential, no socket. Content
//! enters and leaves as streams. Each operation is atomic: after `Ok` the content is durable and visible as a whole,
//! after an error no part of it is.
//!
//! # A portal
//!
//! A portal is a function from a request to a response, and [`portal!`] makes a component of it. Here is the smallest one,
//! `examples/tiny_portal.rs`, without its tests:
//!
//! ```
//! use portico_guest::Store;
//! use portico_guest::http::{Kind, Problem, Request, Response, delete, download, upload};
//!
//! portico_guest::portal!(answer);
//!
//! fn answer(request: &Request) -> Result<Response, Problem> {
//!     let name = request.path().strip_prefix("/files/").ok_or(Kind::NOT_FOUND)?;
//!     let store = Store::open();
//!     match request.method() {
//!         "PUT" => {
//!             let file = upload(request, &store, name, request.final_options()?)?;
//!             Ok(Response::new(201).header("location", request.path()).describe(&file))
//!         }
//!         "GET" | "HEAD" => download(request, &store.open_final(name)?),
//!         "DELETE" => delete(request, &store, name),
//!         _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
//!     }
//! }
//!
//! // A test of it, which needs no host:
//! let host = portico_guest::memory::Host::new();
//! assert_eq!(host.serve(answer, Request::new("PUT", "/files/a").with_body("content")).status, 201);
//! let range = host.serve(answer, Request::new("GET", "/files/a").with_field("range", "bytes=0-2"));
//! assert_eq!((range.status, range.text()), (206, "con"));
//! ```
//!
//! # The store
//!
//! Store a stream. The host pulls it to its end; no byte passes through the guest:
//!
//! ```
//! use portico_guest::{FinalOptions, Store, stdin};
//!
//! # let stdin = || portico_guest::InputStream::from("a,b");
//! # portico_guest::memory::Host::new().run(|| {
//! let store = Store::open();
//! let stored = store.put_final("report-2026", stdin(), FinalOptions::new().content_type("text/csv"))?;
//! println!("{} bytes, SHA-256 {}", stored.size, stored.sha256);
//! # assert_eq!(stored.size, 3);
//! # Ok::<(), portico_guest::Error>(()) })?;
//! # Ok::<(), portico_guest::Error>(())
//! ```
//!
//! Generate content, and publish it as a whole or not at all:
//!
//! ```
//! use portico_guest::{Error, Expected, FinalOptions, Store};
//! use std::io::Write;
//!
//! # portico_guest::memory::Host::new().run(|| -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = Store::open().create_final("squares", FinalOptions::new())?;
//! let mut sink = writer.sink()?;
//! for n in 0..1_000u64 {
//!     writeln!(sink, "{}", n * n)?;
//! }
//! drop(sink);
//! match writer.finish(Expected::default()) {
//!     Ok(stored) => println!("stored as {}/{}", stored.bucket, stored.key),
//!     Err(Error::Conflict) => println!("the name is taken"),
//!     Err(error) => return Err(error.into()),
//! }
//! # assert_eq!(Store::open().stat_final("squares")?.size, 6_537);
//! # Ok(()) }).unwrap();
//! ```
//!
//! Read a range. A failure of the store in the middle is an [`io::Error`](std::io::Error), never a silent end:
//!
//! ```
//! use portico_guest::{Error, Store};
//! use std::io::Read;
//!
//! # portico_guest::memory::Host::new().run(|| -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open();
//! # store.put_final("squares", vec![b'1'; 300].into(), portico_guest::FinalOptions::new())?;
//! let squares = store.open_final("squares")?;
//! println!("{} bytes", squares.receipt().size);
//! let mut text = String::new();
//! match squares.stream(100..200)?.read_to_string(&mut text) {
//!     Ok(_) => println!("{text}"),
//!     Err(error) => match Error::of_io(&error) {
//!         Some(Error::Unavailable { retry_after }) => println!("retry after {retry_after:?}"),
//!         _ => return Err(error.into()),
//!     },
//! }
//! # assert_eq!(text.len(), 100);
//! # Ok(()) }).unwrap();
//! ```
//!
//! Iterate over a listing of any length, with one page in memory:
//!
//! ```
//! # use portico_guest::Store;
//! # portico_guest::memory::Host::new().run(|| {
//! let total = Store::open().finals().try_fold(0, |sum, object| Ok::<_, portico_guest::Error>(sum + object?.size))?;
//! println!("{total} bytes");
//! # Ok::<(), portico_guest::Error>(()) })?;
//! # Ok::<(), portico_guest::Error>(())
//! ```
//!
//! `examples/store-stdin.rs` is a program over the store.
//!
//! # When to use what
//!
//! - [`Store::put_final`] and [`Store::put_temp_part`] for content from another source: a request's body, standard
//!   input, another object. These are the fast way; the host counts and hashes the bytes that it pulls.
//! - [`Store::create_final`] and [`Store::create_temp_part`] for content that the guest generates, or that it publishes
//!   only after a check at the end (of a trailer, for instance).
//! - Temporary parts and [`Store::assemble_final`] for content that arrives in pieces, in any order.
//! - [`Store::open_final`] to read an object whose receipt is needed too.
//! - Records for the guest's own state: small documents, replaced by compare-and-swap.
//! - [`http`] and [`portal!`] for a portal, [`maintenance`] for its background work, [`exchange`] for interim responses and
//!   the host's counters. A program is an ordinary `fn main`.
//! - [`memory`] for native tests. [`InputStream`], [`OutputStream`], [`StreamError`] and [`IoError`] are those of the host in a
//!   component, and those of the tests elsewhere.
//! - [`bindings`] for everything else. Outside of WebAssembly a call of a function in there panics.

pub mod bindings;
pub mod clock;
mod digest;
mod error;
pub mod exchange;
#[doc(hidden)]
pub mod handler;
pub mod http;
mod limits;
pub mod maintenance;
#[cfg(not(target_family = "wasm"))]
pub mod memory;
mod options;
mod orphans;
mod pages;
mod portal;
pub mod random;
mod reader;
mod receipt;
pub mod settings;
mod store;
mod streams;
mod sys;
mod writer;

pub use bindings::{export_maintenance, exports::portico::storage::maintenance::Guest as Maintenance};
pub use digest::{Digest, DigestFormError};
pub use error::{Argument, Error, Result};
pub use handler::{export_handler, exports::wasi::http::incoming_handler::Guest as Handler};
pub use options::{DigestAlgorithm, Expected, FinalOptions, IfExists, PartOptions};
pub use pages::{Entries, Page};
pub use reader::FinalReader;
pub use receipt::{ListedPart, Record, StoredObject, TempPart};
pub use store::{Store, StoreInfo};
pub use streams::{ReadStream, Sink};
pub use sys::{InputStream, IoError, OutputStream, StreamError};
pub use writer::Writer;

/// Returns the guest's standard input as a stream for the host to pull. [`std::io::stdin`] reads the same input.
#[must_use]
pub fn stdin() -> InputStream {
    #[cfg(target_family = "wasm")]
    {
        bindings::wasi::cli::stdin::get_stdin()
    }
    #[cfg(not(target_family = "wasm"))]
    InputStream::from_reader(std::io::stdin())
}
