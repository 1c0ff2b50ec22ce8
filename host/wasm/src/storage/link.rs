//! Links the asynchronous host functions, and recognises a table of resources that is not the one of WASI.

use super::{Storage, StorageCtxView, StorageView, wit};
use wasmtime::component::{Linker, ResourceTable, ResourceTableError};
use wasmtime_wasi::WasiView;

/// Adds `portico:storage` to a linker. [`wasmtime_wasi::p2::add_to_linker_async`] adds the `wasi:io` interfaces that it
/// depends on.
///
/// Both views must return the same table. If they do not, the first call of a guest traps with [`SecondTable`].
///
/// # Errors
/// If the linker already has the interface.
pub fn add_to_linker<T: StorageView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add_to_linker_with(linker, checked::<T>)
}

/// Adds `portico:storage` to a linker of any type of data, whose storage `getter` finds.
///
/// For data of a foreign type, which cannot implement [`StorageView`]. The table that `getter` returns must be the one
/// in which WASI keeps the guest's streams. This function cannot compare them beforehand: with another table, a handle
/// that the guest passes to storage traps with [`SecondTable`], and a stream of storage traps in WASI.
///
/// # Errors
/// If the linker already has the interface.
pub fn add_to_linker_with<T: Send + 'static>(
    linker: &mut Linker<T>,
    getter: fn(&mut T) -> StorageCtxView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Storage>(linker, getter)
}

/// The table in [`StorageCtxView`] is not the one in which WASI keeps the guest's streams.
///
/// A guest cannot cause this. The host has to return the same `ResourceTable` from its `WasiView` and from its
/// [`StorageView`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "portico:storage and WASI of this guest use different tables of resources; return the same `ResourceTable` from \
     `WasiView::ctx` and from `StorageView::storage` (or the getter of `add_to_linker_with`)"
)]
pub struct SecondTable;

/// Finds the storage of a guest, and compares its table with the one of WASI.
pub(super) fn checked<T: StorageView + WasiView>(data: &mut T) -> StorageCtxView<'_> {
    let wasi: *const ResourceTable = data.ctx().table;
    let view = data.storage();
    if !std::ptr::eq(wasi, &*view.table) {
        view.ctx.found_second_table();
    }
    view
}

/// Explains why a handle that the guest passed is not in the table. The component model has checked the handle's type,
/// so the fault is the host's.
pub(super) fn explain(error: ResourceTableError) -> wasmtime::Error {
    match error {
        ResourceTableError::NotPresent | ResourceTableError::WrongType => SecondTable.into(),
        other => other.into(),
    }
}
