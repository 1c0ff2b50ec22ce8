//! A wasmtime host with both generations of the contract, and the component of the tests in it.

use portico_host::portico_store::guard::{Quota, Usage};
use portico_host::{StorageCtx, StorageCtxView, StorageView, limits};
use portico_store::{Backend, Scope};
use portico_test_p3::PROGRAM;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What a case takes at most, on a busy machine. A measurement may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// What a component may print before it is cut.
const STDERR_MAX: usize = 64 << 10;

/// Entries that wasmtime keeps of one component's streams, futures and calls.
const TRANSMITS: usize = 3_000;

pub(crate) struct Guest {
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

/// The compiled component, linked.
pub(crate) struct Program {
    engine: Engine,
    linked: InstancePre<Guest>,
}

/// How a case ended in the component.
#[derive(Debug)]
pub(crate) enum End {
    /// All its checks held.
    Passed,
    /// It trapped; what it printed and the trap.
    Trapped(String),
}

impl Program {
    pub(crate) fn load() -> wasmtime::Result<Program> {
        let engine = Engine::default();
        let component = Component::new(&engine, PROGRAM)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        portico_host::add_to_linker(&mut linker)?;
        portico_host::p3::add_to_linker(&mut linker)?;
        Ok(Program { linked: linker.instantiate_pre(&component)?, engine })
    }

    /// Runs a case in a fresh instance, with a scope of a backend.
    pub(crate) async fn run(
        &self,
        case: &str,
        size: u64,
        backend: &Arc<dyn Backend>,
        scope: &Scope,
    ) -> Result<End, String> {
        let quota = Quota::new(Usage { bytes: 1_000_000, objects: 3 });
        let storage = StorageCtx::builder(Arc::clone(backend), scope.clone());
        let storage = if case == "misuse::quota" { storage.quota(quota) } else { storage }.build();
        let stderr = MemoryOutputPipe::new(STDERR_MAX);
        let wasi = WasiCtx::builder().stderr(stderr.clone()).build();
        let mut store = Store::new(&self.engine, Guest { table: ResourceTable::new(), wasi, storage });
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(TRANSMITS);
        }
        let called = async {
            let instance = self.linked.instantiate_async(&mut store).await?;
            let run = instance.get_typed_func::<(String, u64), (Result<(), String>,)>(&mut store, "run")?;
            let name = case.to_owned();
            store.run_concurrent(async |accessor| run.call_concurrent(accessor, (name, size)).await).await?
        };
        match tokio::time::timeout(if size > 0 { 20 * LIMIT } else { LIMIT }, called).await {
            Ok(Ok((Ok(()),))) => Ok(End::Passed),
            Ok(Ok((Err(error),))) => Err(error),
            Ok(Err(trap)) => Ok(End::Trapped(format!("{trap:?}\n{}", String::from_utf8_lossy(&stderr.contents())))),
            Err(_) => Err(format!("no end after {LIMIT:?}")),
        }
    }
}
