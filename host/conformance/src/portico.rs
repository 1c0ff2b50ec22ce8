//! `portico-host` as the host under test. The tests of another host need a file like this one.

use crate::{Base, Host, HostState};
use portico_host::{StorageCtx, StorageCtxView, StorageView};
use portico_store::{Backend, Scope};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The host under test: guests get a backend's root scope, and the limits that `portico-host` recommends.
pub struct PorticoHost;

/// The state of a guest of [`PorticoHost`].
pub struct GuestState {
    base: Base,
    storage: StorageCtx,
}

impl Host for PorticoHost {
    type State = GuestState;

    fn add_to_linker(&self, linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
        portico_host::add_to_linker(linker)
    }

    fn state(&self, base: Base, backend: Arc<dyn Backend>) -> GuestState {
        GuestState { base, storage: StorageCtx::new(backend, Scope::root()) }
    }

    fn limit(&self, store: &mut wasmtime::Store<GuestState>) {
        store.set_hostcall_fuel(portico_host::limits::HOSTCALL_BYTES);
    }
}

impl HostState for GuestState {
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.base.ctx()
    }
}

impl StorageView for GuestState {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.base.table }
    }
}
