//! Storage in hosts whose data were not made for it, and in hosts without `async`.

use portico_host::{SecondTable, StorageCtx, StorageCtxView, StorageView};
use portico_host::{add_to_linker, add_to_linker_sync, add_to_linker_sync_with, add_to_linker_with};
use portico_store::{Backend as _, FileId, Scope, local::LocalStore};
use portico_test_artifacts::EXAMPLES;
use std::sync::Arc;
use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::{Command, sync};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A runtime as other people have it: its context knows no storage, hands plugins out shared, and is closed to traits of
/// other crates.
mod runtime {
    use std::any::Any;
    use std::collections::HashMap;
    use std::sync::Arc;
    use wasmtime::component::ResourceTable;
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    pub(super) struct Ctx {
        pub(super) table: ResourceTable,
        wasi: WasiCtx,
        plugins: HashMap<&'static str, Arc<dyn Any + Send + Sync>>,
    }

    impl Ctx {
        pub(super) fn new(wasi: WasiCtx, plugins: HashMap<&'static str, Arc<dyn Any + Send + Sync>>) -> Self {
            Ctx { table: ResourceTable::new(), wasi, plugins }
        }

        pub(super) fn plugin<T: Send + Sync + 'static>(&self, id: &str) -> Option<Arc<T>> {
            self.plugins.get(id)?.clone().downcast().ok()
        }
    }

    impl WasiView for Ctx {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
        }
    }
}

/// A guest that stores its input under its argument, and a store.
struct Place {
    _folder: TempDir,
    backend: Arc<LocalStore>,
    engine: Engine,
    program: Component,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = Arc::new(LocalStore::open(folder.path(), Default::default()).await.unwrap());
        let engine = Engine::default();
        let program = EXAMPLES.iter().find(|(name, _)| *name == "store-stdin").expect("an example").1;
        Place { _folder: folder, backend, program: Component::new(&engine, program).unwrap(), engine }
    }

    fn storage(&self) -> StorageCtx {
        StorageCtx::new(self.backend.clone(), Scope::root())
    }

    fn wasi(&self) -> WasiCtx {
        WasiCtx::builder().stdin(MemoryInputPipe::new("content")).args(&["guest", "stored"]).build()
    }

    fn ctx(&self) -> runtime::Ctx {
        runtime::Ctx::new(self.wasi(), [("storage", Arc::new(self.storage()) as _)].into())
    }

    async fn has_stored(&self) {
        let file = FileId::parse("stored").unwrap();
        assert_eq!(self.backend.stat_final(&Scope::root(), &file).await.unwrap().size, 7);
    }
}

fn storage_of(ctx: &mut runtime::Ctx) -> StorageCtxView<'_> {
    let storage = ctx.plugin::<StorageCtx>("storage").expect("the host gave it");
    StorageCtxView { ctx: (*storage).clone(), table: &mut ctx.table }
}

#[tokio::test]
async fn in_a_foreign_context() {
    let place = Place::new().await;
    let mut linker = Linker::new(&place.engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    add_to_linker_with(&mut linker, storage_of).unwrap();
    let mut store = Store::new(&place.engine, place.ctx());
    let command = Command::instantiate_async(&mut store, &place.program, &linker).await.unwrap();
    command.wasi_cli_run().call_run(&mut store).await.unwrap().unwrap();
    place.has_stored().await;
}

#[tokio::test]
async fn in_a_foreign_context_without_async() {
    let place = Arc::new(Place::new().await);
    let there = place.clone();
    let run = move || {
        let mut linker = Linker::new(&there.engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        add_to_linker_sync_with(&mut linker, storage_of).unwrap();
        let mut store = Store::new(&there.engine, there.ctx());
        let command = sync::Command::instantiate(&mut store, &there.program, &linker).unwrap();
        command.wasi_cli_run().call_run(&mut store).unwrap().unwrap();
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    place.has_stored().await;
}

/// A host with a table too many.
struct Twice {
    wasi: WasiCtx,
    storage: StorageCtx,
    tables: [ResourceTable; 2],
}

impl WasiView for Twice {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.tables[0] }
    }
}

impl StorageView for Twice {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.tables[1] }
    }
}

#[tokio::test]
async fn a_table_too_many_is_explained() {
    let place = Place::new().await;
    let twice =
        || Twice { wasi: place.wasi(), storage: place.storage(), tables: [ResourceTable::new(), ResourceTable::new()] };
    let mut checked = Linker::new(&place.engine);
    add_to_linker(&mut checked).unwrap();
    let mut unchecked = Linker::new(&place.engine);
    add_to_linker_with(&mut unchecked, Twice::storage).unwrap();
    for mut linker in [checked, unchecked] {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let mut store = Store::new(&place.engine, twice());
        let command = Command::instantiate_async(&mut store, &place.program, &linker).await.unwrap();
        let trap = command.wasi_cli_run().call_run(&mut store).await.unwrap_err();
        assert_eq!(trap.downcast_ref(), Some(&SecondTable), "{trap:?}");
    }
    let mut linker = Linker::<Twice>::new(&place.engine);
    add_to_linker_sync(&mut linker).unwrap();
    assert!(add_to_linker_sync(&mut linker).is_err(), "a linker takes it once");
}
