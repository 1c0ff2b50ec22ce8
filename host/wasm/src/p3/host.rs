//! Links generation 0.3, and what its functions share.

use super::wit;
use crate::fault::Fault;
use crate::storage::{Failure, Result, Storage, Store};
use crate::streams::Permit;
use crate::{StorageCtxView, StorageView};
use wasmtime::component::{Accessor, Linker, Resource};

/// Adds `portico:storage@0.3.0` to a linker. The linker may have `portico:storage@0.2.0` as well.
///
/// # Errors
/// If the linker already has the interface, or its engine has no `Config::concurrency_support`.
pub fn add_to_linker<T: StorageView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add_to_linker_with(linker, T::storage)
}

/// Adds `portico:storage@0.3.0` to a linker of any type of data, whose storage `getter` finds.
///
/// For data of a foreign type, which cannot implement [`StorageView`]. Streams of WASI 0.3 are in no table of WASI, so any
/// table serves a guest that imports this generation alone.
///
/// # Errors
/// As [`add_to_linker`].
pub fn add_to_linker_with<T: Send + 'static>(
    linker: &mut Linker<T>,
    getter: fn(&mut T) -> StorageCtxView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Storage>(linker, getter)
}

/// Begins a call on a store: the store, and the permit of the call.
pub(super) fn begin<T: Send>(accessor: &Accessor<T, Storage>, store: &Resource<Store>) -> Result<(Store, Permit)> {
    accessor.with(|mut access| {
        let view = access.get();
        Ok((view.store(store)?, view.ctx.call()?))
    })
}

/// Takes a permit for one open stream, reader, writer or put.
pub(super) fn open<T: Send>(accessor: &Accessor<T, Storage>) -> Result<Permit> {
    accessor.with(|mut access| access.get().ctx.permit())
}

impl wit::Host for StorageCtxView<'_> {
    fn open(&mut self) -> wasmtime::Result<Resource<Store>> {
        Ok(self.table.push(self.ctx.store())?)
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<wit::Error> {
        match failure {
            Failure::Fault(fault) => Ok(wit::Error::from(&fault)),
            Failure::Trap(trap) => Err(trap),
        }
    }
}

/// The status of a stream as the guest sees it.
pub(super) fn status(result: portico_store::Result<()>) -> Result<(), wit::Error> {
    result.map_err(|error| wit::Error::from(&Fault::from(error)))
}
