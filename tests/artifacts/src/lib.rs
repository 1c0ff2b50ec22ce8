//! The conformance programs of `tests/programs` and the examples of the guest SDK as components, in a table each.
//!
//! The build script makes the tables of the folders, so a program can't be left out of a suite that runs its table.

/// A program.
#[derive(Clone, Copy)]
pub struct Program {
    /// Its name: that of its file.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
}

/// All conformance programs, by name. They are of the world `portico:conformance/program`.
pub const PROGRAMS: &[Program] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// All examples of the guest SDK, by name. They are of the world `portico:storage/command`.
pub const EXAMPLES: &[Program] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// The portal that misbehaves as its client asks.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));
