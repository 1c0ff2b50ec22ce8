//! Runs the conformance programs of `portico:storage` and looks at what they leave behind.
//!
//! Three things are given by whoever uses it: the wasmtime host that is tested ([`Host`]), the backend that it is tested
//! over ([`TestBackend`]), and the time that a case may take. [`Runner::new`] compiles the programs and asks them for
//! their cases; [`Runner::run`] runs one case in a store of its own and says whether it passed. Cases may run at once.
//!
//! Invariants: a case passes only if each of its instances ended as it said, in time, and the store holds exactly what
//! they said, by its listings, by what lies in the storage itself, and again after it was closed and opened. The
//! programs know nothing of hosts or backends, and nothing here knows of a certain host.

mod audit;
pub mod backends;
mod bindings;
mod board;
mod fixture;
mod host;
mod portico;
mod programs;
mod runner;
mod source;
mod stores;

pub use fixture::Fixture;
pub use host::{Base, Host, HostState};
pub use portico::{Guest, PorticoHost};
pub use programs::Case;
pub use runner::{Failure, Runner};
pub use stores::{BoxError, Found, FoundObject, FoundPart, TestBackend, TestStore};
