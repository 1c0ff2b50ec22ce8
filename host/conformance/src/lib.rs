//! Runs the conformance programs of `portico:storage`, and audits the stores that they leave behind.
//!
//! A user supplies three things: the wasmtime host under test ([`Host`]), the backend beneath it ([`TestBackend`]), and a
//! time limit for a case. [`Runner::new`] compiles the programs and asks them for their cases. [`Runner::run`] runs one case
//! in a store of its own, and returns why it failed. Cases may run concurrently.
//!
//! Invariants: a case passes only if each instance ended as it announced, within the time limit, and the store holds exactly
//! what the instances claimed: by its listings, by a direct look at the storage, and again after reopening. The programs
//! know no host and no backend, and the runner knows no particular host.

mod audit;
pub mod backends;
mod bindings;
mod board;
mod export;
mod fixture;
mod host;
mod portico;
mod programs;
mod runner;
mod source;
mod stores;

pub use fixture::Fixture;
pub use host::{Base, Host, HostState};
pub use portico::{GuestState, PorticoHost};
pub use programs::Case;
pub use runner::{CaseFailure, Runner};
pub use stores::{BoxError, Found, FoundObject, FoundPart, TestBackend, TestStore};
