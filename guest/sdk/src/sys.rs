//! The host of a guest, by target: the bindings in a component, and a store in memory elsewhere.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::portico::storage::storage::{FinalReader, Store, Writer, error_of, open};
#[cfg(target_family = "wasm")]
pub use crate::bindings::wasi::io::{
    error::Error as IoError,
    streams::{InputStream, OutputStream, StreamError},
};
#[cfg(not(target_family = "wasm"))]
pub use crate::memory::streams::{InputStream, IoError, OutputStream, StreamError};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::memory::{
    current::open,
    store::{FinalReader, Store},
    streams::error_of,
    writer::Writer,
};

/// Waits until a stream takes bytes.
pub(crate) fn await_room(stream: &OutputStream) {
    #[cfg(target_family = "wasm")]
    stream.subscribe().block();
    // A stream in memory takes bytes at any time.
    #[cfg(not(target_family = "wasm"))]
    let _ = stream;
}
