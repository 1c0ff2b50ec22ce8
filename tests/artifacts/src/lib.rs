//! Components for tests: the portal, the examples of the guest SDK, a portal that misbehaves, and apps that know nothing of Portico.

/// The examples of the guest SDK by name: `store-stdin`, of the world `portico:storage/command`, and `tiny_portal`, a portal.
pub const EXAMPLES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// The portal that misbehaves as its client asks.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));

/// The built-in portal of the program.
pub const PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));

/// An app over `wasi:blobstore`.
pub const BLOBS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/blobs.wasm"));

/// An app over `wasi:keyvalue`.
pub const COUNTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counter.wasm"));
