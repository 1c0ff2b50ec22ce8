//! Adapters between a guest's `wasi:io` streams and the streams and writers of `portico_store`.
//!
//! Invariants: no byte of a host pull enters guest memory; no adapter buffers more than one chunk; a failure is never
//! taken for an end; no type of `portico:storage` is named here.

mod pull;
mod reader;
mod sink;
mod writer;

pub(crate) use pull::Pull;
pub(crate) use reader::StoredStream;
pub(crate) use sink::Sink;

#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub use writer::GuestWriter;
pub(crate) use writer::{AnyUpload, Receipt, SharedUpload};

/// A permit for one open stream, reader or writer of a guest. Dropping it releases the permit.
pub(crate) type Permit = tokio::sync::OwnedSemaphorePermit;

#[cfg(test)]
mod tests;
