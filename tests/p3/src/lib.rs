//! The component of the tests of generation 0.3 of `portico:storage`.

/// A component of the world `portico:test-p3/program`.
#[cfg(feature = "p3")]
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/program.wasm"));
