//! `portico:storage` for any [`wasmtime`] host.
//!
//! A guest gets a capability for one scope of a store: temporary parts of upload sessions, final objects and small
//! records, over `wasi:io` streams. It hands a body over as an `input-stream`, and the host pulls the bytes from
//! their source into the backend; they never enter the guest's memory. The contract is the WIT package
//! `portico:storage`; its documentation says what holds for every operation on every backend. Which backend it is
//! is the host's choice: any [`portico_store::Backend`], and the guest cannot tell but by asking.
//!
//! # Example
//!
//! Three things give a guest storage: a [`StorageCtx`] beside the `WasiCtx` in the data of its store, an
//! implementation of [`StorageView`] that finds it, and [`add_to_linker`].
//!
//! ```no_run
//! use portico_host::{StorageCtx, StorageCtxView, StorageView};
//! use portico_store::{Backend, Scope};
//! use std::sync::Arc;
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Engine, Store};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! struct Guest {
//!     table: ResourceTable,
//!     wasi: WasiCtx,
//!     storage: StorageCtx,
//! }
//!
//! impl WasiView for Guest {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl StorageView for Guest {
//!     fn storage(&mut self) -> StorageCtxView<'_> {
//!         StorageCtxView { ctx: &mut self.storage, table: &mut self.table }
//!     }
//! }
//!
//! async fn run(engine: &Engine, program: &Component, backend: Arc<dyn Backend>) -> wasmtime::Result<bool> {
//!     let mut linker = Linker::new(engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     portico_host::add_to_linker(&mut linker)?;
//!
//!     let storage = StorageCtx::new(backend, Scope::root().narrow("alice")?);
//!     let guest = Guest { table: ResourceTable::new(), wasi: WasiCtx::default(), storage };
//!     let mut store = Store::new(engine, guest);
//!     let command = Command::instantiate_async(&mut store, program, &linker).await?;
//!     Ok(command.wasi_cli_run().call_run(&mut store).await?.is_ok())
//! }
//! # fn main() {}
//! ```
//!
//! # When to use it
//!
//! Use it where components store content that is too large for their memory, or where several of them share a store
//! without trusting each other. Give each guest its own scope. What a guest can make the host hold is bounded by
//! [`limits`]; memory, time and the number of handles are bounded by wasmtime's own means, in particular
//! [`wasmtime::Store::set_hostcall_fuel`] with [`limits::HOSTCALL_BYTES`] and [`ResourceTable::set_max_capacity`].
//! A guest that is dropped in the middle of an operation leaves the whole effect of it or none.
//!
//! Do not use it for a guest that needs a filesystem or the S3 protocol itself. A native program that needs no
//! guest uses [`portico_store`] directly.
//!
//! [`ResourceTable::set_max_capacity`]: wasmtime::component::ResourceTable::set_max_capacity

mod bindings;
mod fault;
pub mod limits;
mod storage;
mod streams;
#[cfg(test)]
mod testing;

pub use storage::{StorageCtx, StorageCtxView, StorageView, add_to_linker};
