//! Bytes between a guest's `wasi:io` streams and the streams and writers of `portico_store`.
//!
//! Invariants: no byte of a host pull enters the memory of a guest; nothing here buffers more than one chunk; a
//! failure is never mistaken for an end. No type of `portico:storage` is named here.

mod pull;
mod reader;
mod sink;
mod writer;

pub(crate) use pull::Pull;
pub(crate) use reader::Reader;
pub(crate) use sink::Sink;

#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub use writer::Writer;
pub(crate) use writer::{Content, Receipt, Upload};

/// A place among the streams and writers that a guest may hold open; given back by dropping it.
pub(crate) type Place = tokio::sync::OwnedSemaphorePermit;

#[cfg(test)]
mod tests;
