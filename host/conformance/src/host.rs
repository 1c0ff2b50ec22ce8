//! The interface to the wasmtime host under test.

use crate::bindings::portico::conformance::fixture as wit;
use crate::fixture::{Fixture, View, ViewOf};
use portico_store::Backend;
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A wasmtime host of `portico:storage`.
pub trait Host: Send + Sync + 'static {
    /// The host's data in a `wasmtime::Store`.
    type State: HostState;

    /// Adds `portico:storage` to a linker that has WASI.
    ///
    /// # Errors
    /// If the linker refuses.
    fn add_to_linker(&self, linker: &mut Linker<Self::State>) -> wasmtime::Result<()>;

    /// Creates the state of a guest, with the root scope of a backend.
    fn state(&self, base: Base, backend: Arc<dyn Backend>) -> Self::State;

    /// Applies the host's limits on guests to a store.
    fn limit(&self, store: &mut wasmtime::Store<Self::State>) {
        let _ = store;
    }
}

/// The state of one guest: a [`Base`], and the host's additions.
pub trait HostState: WasiView + Send + 'static {
    /// Returns the base that the state was created with.
    fn base(&mut self) -> &mut Base;
}

/// The runner's share of a guest's state.
pub struct Base {
    /// All handles of the guest.
    pub table: ResourceTable,
    /// The guest's WASI context.
    pub wasi: WasiCtx,
    /// The guest's fixture.
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
