//! The wasmtime host that is tested.

use crate::bindings::portico::conformance::fixture as wit;
use crate::fixture::{Fixture, View, ViewOf};
use portico_store::Backend;
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A wasmtime host of `portico:storage`.
pub trait Host: Send + Sync + 'static {
    /// What it keeps in a `wasmtime::Store`.
    type State: HostState;

    /// Adds `portico:storage` to a linker that has WASI.
    ///
    /// # Errors
    /// If it can't.
    fn add_to_linker(&self, linker: &mut Linker<Self::State>) -> wasmtime::Result<()>;

    /// The state of a guest that gets the widest scope of a backend.
    fn state(&self, base: Base, backend: Arc<dyn Backend>) -> Self::State;

    /// Sets the limits that a guest of this host has.
    fn limit(&self, store: &mut wasmtime::Store<Self::State>) {
        let _ = store;
    }
}

/// The state of one guest: it holds a [`Base`] and what the host adds.
pub trait HostState: WasiView + Send + 'static {
    /// What it was made with.
    fn base(&mut self) -> &mut Base;
}

/// What the runner needs in the state of a guest.
pub struct Base {
    /// All handles of the guest.
    pub table: ResourceTable,
    /// Its WASI.
    pub wasi: WasiCtx,
    /// Its fixture.
    pub fixture: Fixture,
}

impl WasiView for Base {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl HostState for Base {
    fn base(&mut self) -> &mut Base {
        self
    }
}

/// Adds the fixture of a case to a linker.
pub(crate) fn add_fixture<T: HostState>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, ViewOf>(linker, |state| {
        let base = state.base();
        View { fixture: &mut base.fixture, table: &mut base.table }
    })
}
