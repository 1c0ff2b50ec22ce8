//! The upload server, and the commands of the `portico` program.
//!
//! The library serves the program, the tests and the benchmarks. To embed Portico in another host, use `portico_host`.

pub mod adapters;
mod bindings;
mod bounded;
pub mod cli;
pub mod config;
pub mod runtime;
pub mod server;
pub mod upkeep;
