//! Generation 0.3 of the contract, `portico:storage@0.3.0`: async functions, and `stream<u8>` with a final status beside
//! each stream.
//!
//! Both generations may be in one linker. They use the same [`StorageCtx`](crate::StorageCtx), so a guest of either sees
//! the same objects within the same limits, and a component may import both.
//!
//! What wasmtime says of its support for WASI 0.3 holds for this module: it is experimental, and faults of it get no patch
//! releases. The engine needs `Config::wasm_component_model_async` and `Config::concurrency_support`, which are on by
//! default. Futures that run beside a guest make no progress while the guest computes without yielding; the deadline of a
//! call belongs outside of `Store::run_concurrent`.
//!
//! Invariants: content is whole only if its status was `ok`; a host pull holds at most [`limits::PULL_QUEUE`] chunks that
//! the backend has not taken; each call in flight has a permit.
//!
//! [`limits::PULL_QUEUE`]: crate::limits

mod bindings;
#[path = "../storage/convert.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of each generation are its own, and the conversions are the same")]
mod convert;
mod host;
mod reader;
mod source;
mod store;
mod writer;

use bindings::portico::storage::storage as wit;
pub use host::{add_to_linker, add_to_linker_with};
