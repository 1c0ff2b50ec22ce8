//! The conformance programs of `tests/programs` as components, in one table.
//!
//! The build script makes the table of the folder, so a program can't be left out of a suite that runs the table.

/// A conformance program.
#[derive(Clone, Copy)]
pub struct Program {
    /// Its name; what comes before the first `_` or the whole is the suite that it belongs to.
    pub name: &'static str,
    /// The component, of the world `portico:conformance/program`.
    pub component: &'static [u8],
}

/// All programs, by name.
pub const PROGRAMS: &[Program] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));
