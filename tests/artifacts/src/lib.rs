//! Components for tests: the portal, the examples of the guest SDK, and a portal that misbehaves.

/// The examples of the guest SDK by name. They are of the world `portico:storage/command`.
pub const EXAMPLES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// The portal that misbehaves as its client asks.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));

/// The built-in portal of the program.
pub const PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));
