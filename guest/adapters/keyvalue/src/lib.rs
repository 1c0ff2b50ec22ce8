//! An adapter: `wasi:keyvalue` (0.2.0-draft and 0.2.0-draft2) over the records of `portico:storage`.
//!
//! A key is a record below its bucket. `bucket` has the operations; `draft` and `draft2` translate the two versions of the
//! interface, and `versions` what both have.
//!
//! Invariants: no state outside of the store, so any instance and any host continues where another one ended; each change of a
//! key is one conditional write of its record, so a reader sees the value before or after, and no increment is lost.

mod bindings;
mod bucket;
mod cas;
mod draft;
mod draft2;
mod error;
mod limits;
mod record;
mod versions;

/// The component.
#[derive(Debug)]
pub struct Adapter;
