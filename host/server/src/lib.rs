//! The upload server, and the commands of the `portico` program.
//!
//! The library exists for the program, for the tests and for the benchmarks. A host of one's own uses `portico_host`.

mod bindings;
mod bounded;
pub mod cli;
pub mod config;
pub mod runtime;
pub mod server;
pub mod upkeep;
