//! `portico-host` as the host under test. Another host's tests have a file like this one.

use crate::{Base, Host, HostState};
use portico_host::{StorageCtx, StorageCtxView, StorageView};
use portico_store::{Backend, Scope};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtxView, WasiView};

/// Gives each guest the widest scope of a backend, and the limits that `portico-host` advises.
pub struct PorticoHost;

/// The state of a guest of [`PorticoHost`].
pub struct Guest {
    base: Base,
    storage: StorageCtx,
}

impl Host for PorticoHost {
    type State = Guest;

    fn add_to_linker(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        portico_host::add_to_linker(linker)
    }

    fn state(&self, base: Base, backend: Arc<dyn Backend>) -> Guest {
        Guest { base, storage: StorageCtx::new(backend, Scope::root()) }
    }

    fn limit(&self, store: &mut wasmtime::Store<Guest>) {
        store.set_hostcall_fuel(portico_host::limits::HOSTCALL_BYTES);
    }
}

impl HostState for Guest {
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.base.ctx()
    }
}

impl StorageView for Guest {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: &mut self.storage, table: &mut self.base.table }
    }
}
