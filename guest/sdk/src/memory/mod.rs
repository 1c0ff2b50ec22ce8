//! A host in memory, for native tests of a guest's logic.
//!
//! Outside of WebAssembly, [`Store::open`](crate::Store::open) opens the store of the [`Host`] that the test runs the guest in. The store keeps
//! the contract: create-only names, expectations and digests, ranges, typed errors, records with versions, parts with joins
//! and assemblies. The cases of the conformance suite that need one host pass on it.
//!
//! ```
//! use portico_guest::{FinalOptions, InputStream, Store, memory::Host};
//!
//! /// The logic of a guest.
//! fn copy(from: &str, to: &str) -> portico_guest::Result<()> {
//!     let store = Store::open();
//!     let content = store.open_final(from)?.stream(..)?.into_inner();
//!     store.put_final(to, content, FinalOptions::new()).map(drop)
//! }
//!
//! let host = Host::new();
//! host.store().put_final("one", InputStream::from("content"), FinalOptions::new())?;
//! host.run(|| copy("one", "two"))?;
//! assert_eq!(host.objects()["two"], b"content");
//! # Ok::<(), portico_guest::Error>(())
//! ```
//!
//! A portal gets its requests by [`Host::serve`]:
//!
//! ```
//! use portico_guest::{http::{Problem, Request, Response}, memory::Host};
//!
//! fn answer(request: &Request) -> Result<Response, Problem> {
//!     Ok(Response::new(200).content("text/plain", request.method()))
//! }
//!
//! let reply = Host::new().serve(answer, Request::new("GET", "/"));
//! assert_eq!((reply.status, reply.text()), (200, "GET"));
//! ```
//!
//! Differences from a real host: bodies and responses are in memory, no operation waits, and a misused handle is no trap.

mod content;
pub(crate) mod current;
mod exchange;
mod names;
mod pages;
mod state;
pub(crate) mod store;
pub(crate) mod streams;
pub(crate) mod writer;

pub use exchange::Reply;
pub use streams::{Cut, Pollable};

use crate::{
    Error,
    http::{Problem, Request, Response},
};
use state::{Id, Shared, below};
use std::{collections::BTreeMap, time::Duration};
use store::Store;

/// A host in memory with an empty store. Clones share the store.
#[derive(Clone, Debug)]
pub struct Host {
    shared: Shared,
}

impl Host {
    /// Creates a host.
    #[must_use]
    pub fn new() -> Self {
        Host { shared: Shared::new() }
    }

    /// Sets the largest object, in bytes.
    #[must_use]
    pub fn max_object_size(self, bytes: u64) -> Self {
        self.shared.state().object_max = bytes;
        self
    }

    /// Sets a setting of the guest; see [`settings`](crate::settings).
    #[must_use]
    pub fn setting(self, name: &str, value: &str) -> Self {
        self.shared.state().settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the store of the widest scope.
    #[must_use]
    pub fn store(&self) -> crate::Store {
        crate::Store::of(Store::widest(&self.shared))
    }

    /// Runs a piece of a guest: [`Store::open`](crate::Store::open) opens this host's store in it.
    pub fn run<T>(&self, guest: impl FnOnce() -> T) -> T {
        current::run(&self.shared, guest)
    }

    /// Serves a request with the handler of a portal, as [`portal!`](crate::portal) does in a component.
    ///
    /// # Panics
    /// If the response has a field or a status that HTTP does not allow.
    pub fn serve(&self, handler: impl FnOnce(&Request) -> Result<Response, Problem>, request: Request) -> Reply {
        self.run(|| exchange::reply(crate::http::answer(&request, handler), request.method() == "HEAD"))
    }

    /// Sets the host's clock forward.
    pub fn advance(&self, time: Duration) {
        self.shared.state().ahead += time;
    }

    /// Makes the next operation of a store fail. A put fails before it reads its content.
    pub fn fail_next(&self, error: Error) {
        self.shared.state().fault = Some(error.into());
    }

    /// Returns the content of all final objects by their ids. Ids of a narrower scope have its path before them: `a/b/ID`.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.state();
        let all = state.scopes().flat_map(|(path, scope)| {
            scope.ids.iter().filter_map(move |(id, slot)| match slot {
                Id::Object(object) => Some((below(path, id), object.bytes.to_vec())),
                Id::Tombstone { .. } => None,
            })
        });
        all.collect()
    }

    /// Returns the content of all temporary parts by their keys. Keys of a narrower scope have its path before them.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.state();
        let all = state.scopes().flat_map(|(path, scope)| {
            scope.parts.values().map(move |part| (below(path, &part.receipt.temp_key), part.bytes.to_vec()))
        });
        all.collect()
    }
}

impl Default for Host {
    fn default() -> Self {
        Host::new()
    }
}
