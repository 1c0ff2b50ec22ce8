//! The interface `portico:storage/storage` for guests, in generation 0.2, and what both generations share: the operations,
//! the checks of their arguments, and the storage of a guest.
//!
//! Invariants: every name is checked before a backend sees it; a handle's scope is fixed when the handle is created,
//! and is passed with every call; a fault of the guest is a typed error, a misused handle a trap.

pub(crate) mod arguments;
mod convert;
mod ctx;
mod link;
mod operations;
pub(crate) mod reader;
mod store;
mod sync;
mod writer;

pub use ctx::{StorageCtx, StorageCtxBuilder, StorageCtxView, StorageView};
pub use link::{SecondTable, add_to_linker, add_to_linker_with};
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub use operations::Store;
pub use sync::{add_to_linker_sync, add_to_linker_sync_with};

use crate::bindings::portico::storage::storage as wit;
use crate::fault::Fault;
use crate::streams::{Permit, Pull, StoredStream};
use portico_store::{Argument, Error, stream::ByteStream};
use wasmtime::component::{HasData, Resource, ResourceTableError};
use wasmtime_wasi::p2::{DynInputStream, IoError, pipe::ClosedInputStream};

/// Stands for the storage of a guest in the bindings.
pub(crate) struct Storage;

impl HasData for Storage {
    type Data<'a> = StorageCtxView<'a>;
}

/// The failure of a host function: an error for the guest, or a trap.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error for the guest.
    Fault(Fault),
    /// A trap.
    Trap(wasmtime::Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Fault(error.into())
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Failure::Trap(error)
    }
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl StorageCtxView<'_> {
    pub(crate) fn store(&self, handle: &Resource<Store>) -> Result<Store> {
        Ok(self.table.get(handle)?.clone())
    }

    /// Takes a stream that the guest handed over out of the table.
    ///
    /// A stream cannot leave the table while the guest holds a pollable of it. Such a stream is consumed all the same:
    /// it is replaced by a closed one, whose pollable is ready at once. Its parent, for instance an `incoming-body`,
    /// can then not be dropped any more: that traps.
    fn take_content(&mut self, handle: Resource<DynInputStream>) -> Result<Pull> {
        let left = Resource::<DynInputStream>::new_own(handle.rep());
        match self.table.delete(handle) {
            Ok(stream) => Ok(Pull::new(stream).with_stall(self.ctx.is_stall())),
            Err(ResourceTableError::HasChildren) => {
                *self.table.get_mut(&left).map_err(link::explain)? = Box::new(ClosedInputStream);
                Err(Error::InvalidArgument(Argument::Content).into())
            }
            Err(error) => Err(Failure::Trap(link::explain(error))),
        }
    }

    /// Hands a backend's stream to the guest. The stream has no parent, so it continues without its store.
    fn push_stream(&mut self, stream: Box<dyn ByteStream>, permit: Permit) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(StoredStream::new(stream, permit));
        Ok(self.table.push(stream)?)
    }
}

impl wit::Host for StorageCtxView<'_> {
    async fn open(&mut self) -> wasmtime::Result<Resource<Store>> {
        self.ctx.check_tables()?;
        Ok(self.table.push(self.ctx.store())?)
    }

    async fn error_of(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<wit::Error>> {
        Ok(self.table.get(&error).map_err(link::explain)?.downcast_ref::<Fault>().map(wit::Error::from))
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<wit::Error> {
        match failure {
            Failure::Fault(fault) => Ok(wit::Error::from(&fault)),
            Failure::Trap(trap) => Err(trap),
        }
    }
}

#[cfg(test)]
mod tests;
