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
//! ```
//! use portico_host::{StorageCtx, StorageCtxView, StorageView, limits};
//! use portico_store::guard::{Quota, Usage};
//! use portico_store::{Backend, FileId, Scope, local::LocalStore};
//! use std::sync::Arc;
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Engine, Store};
//! use wasmtime_wasi::p2::{bindings::Command, pipe::MemoryInputPipe};
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! // What the host keeps for each guest. Storage shares WASI's table of handles.
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
//!         StorageCtxView { ctx: self.storage.clone(), table: &mut self.table }
//!     }
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # let stores_its_input = portico_test_artifacts::EXAMPLES[0].1;
//! // Once: the backend and the linker.
//! let backend: Arc<dyn Backend> = Arc::new(LocalStore::open(folder, Default::default()).await?);
//! let engine = Engine::default();
//! let mut linker = Linker::new(&engine);
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! portico_host::add_to_linker(&mut linker)?;
//! let program = Component::new(&engine, stores_its_input)?;
//!
//! // For each guest: a scope of the store, and limits. This guest stores its input under the id in its argument.
//! let alice = Scope::root().narrow("alice")?;
//! let quota = Quota::new(Usage { bytes: 1 << 30, objects: 1_000 });
//! let storage = StorageCtx::builder(backend.clone(), alice.clone()).quota(quota.clone()).build();
//! let wasi = WasiCtx::builder().stdin(MemoryInputPipe::new("hello")).args(&["guest", "greeting"]).build();
//! let mut store = Store::new(&engine, Guest { table: ResourceTable::new(), wasi, storage });
//! store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
//! let command = Command::instantiate_async(&mut store, &program, &linker).await?;
//! assert!(command.wasi_cli_run().call_run(&mut store).await?.is_ok());
//!
//! assert_eq!(backend.stat_final(&alice, &FileId::parse("greeting")?).await?.size, 5);
//! assert_eq!(quota.used(), Usage { bytes: 5, objects: 1 });
//! # Ok(()) }) }
//! ```
//!
//! # Other hosts
//!
//! - [`add_to_linker_with`] links into a store type that cannot implement [`StorageView`].
//! - [`add_to_linker_sync`] and [`add_to_linker_sync_with`] are for guests that are called without `async`.
//! - [`wasmtime`], [`wasmtime_wasi`] and [`portico_store`] are re-exported in the versions that this crate uses.
//! - A bucket in place of a folder is `portico_s3::S3Store`; nothing else changes.
//! - The feature `p3` adds a module `p3`: the contract for components of WASI 0.3, beside this one or alone.
//! - All errors implement [`std::error::Error`], `Send` and `Sync`, so `?` takes them into a [`wasmtime::Error`].
//!
//! [`StorageCtxBuilder`] has what an embedder limits and observes.
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
#[cfg(feature = "p3")]
pub mod p3;
mod storage;
mod streams;
#[cfg(test)]
mod testing;
pub mod wit;

pub use portico_store;
pub use storage::{
    SecondTable, StorageCtx, StorageCtxBuilder, StorageCtxView, StorageView, add_to_linker, add_to_linker_sync,
    add_to_linker_sync_with, add_to_linker_with,
};
pub use wasmtime;
pub use wasmtime_wasi;
