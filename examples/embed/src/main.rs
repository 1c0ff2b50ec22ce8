//! A wasmtime host of one's own that gives its guest `portico:storage` over a folder.
//!
//! `portico-example-embed PROGRAM FOLDER [ARGUMENT]...` runs a component of the world `portico:storage/command`
//! and hands it the further arguments.

use portico_host::{StorageCtx, StorageCtxView, StorageView, add_to_linker, limits};
use portico_store::{Scope, local::LocalOptions, local::LocalStore};
use std::process::ExitCode;
use std::sync::Arc;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, bail};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What this host keeps for each guest. Storage shares the table of handles with WASI, because its streams are WASI's.
struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    storage: StorageCtx,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl StorageView for Guest {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.table }
    }
}

#[tokio::main]
async fn main() -> wasmtime::Result<ExitCode> {
    let args: Vec<String> = std::env::args().collect();
    let [_, program, folder, ..] = args.as_slice() else {
        bail!("usage: portico-example-embed PROGRAM FOLDER [ARGUMENT]...");
    };

    // The backend is opened once and shared by all guests; each guest gets a scope of it and sees nothing else.
    let backend = Arc::new(LocalStore::open(folder.as_ref(), LocalOptions::default()).await?);
    let storage = StorageCtx::new(backend, Scope::root().narrow("example")?);

    let engine = Engine::default();
    let component = Component::from_file(&engine, program)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    add_to_linker(&mut linker)?;

    let wasi = WasiCtx::builder().inherit_stdio().arg(program).args(&args[3..]).build();
    let mut store = Store::new(&engine, Guest { table: ResourceTable::new(), wasi, storage });
    store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let finished = command.wasi_cli_run().call_run(&mut store).await?;
    Ok(if finished.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
