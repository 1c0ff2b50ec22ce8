//! The components of the tests of generation 0.3 of `portico:storage`.

/// A component of the world `portico:test-p3/program`.
#[cfg(feature = "p3")]
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/program.wasm"));

/// A portal of the world `portico:storage/handler@0.3.0`.
#[cfg(feature = "p3")]
pub const PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));
