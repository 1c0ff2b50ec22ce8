//! An HTTP server around portals: guests that answer requests from storage.
//!
//! [`runtime`] compiles a component once and runs a fresh instance for each request, within [`runtime::Limits`]. [`server`] accepts
//! connections and hands their requests to portals. [`upkeep`] runs the maintenance of portals and stores.

mod bindings;
pub mod bounded;
pub mod runtime;
pub mod server;
pub mod upkeep;
