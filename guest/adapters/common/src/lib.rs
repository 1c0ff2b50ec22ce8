//! What the adapters share: names of records, and repeated attempts.
//!
//! Invariant: no function here keeps state, so an adapter runs in any number of instances and hosts at once.

mod attempts;
mod names;

pub use attempts::Attempts;
pub use names::{ENCODED_MAX, decode, encode, is_reversible};

use portico_guest::{Error, Store};

/// Opens the part of the store that belongs to one adapter. The app's own files and records are not in it.
///
/// # Errors
/// `InvalidArgument(Scope)` if the host's own scope is nested too deeply.
pub fn open(scope: &str) -> Result<Store, Error> {
    Store::open().scope(scope)
}
