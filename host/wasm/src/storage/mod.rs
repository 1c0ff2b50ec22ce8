//! The interface `portico:storage/storage` for guests: the only place that names both its types and those of the
//! backends.
//!
//! Invariants: every name is checked before a backend sees it; a handle's scope is fixed when the handle is created,
//! and is passed with every call; a fault of the guest is a typed error, a misused handle a trap.

mod convert;
pub(crate) mod reader;
mod store;
mod writer;

use crate::bindings::portico::storage::storage as wit;
use crate::fault::Fault;
use crate::limits;
use crate::streams::{Permit, Pull, StoredStream};
use portico_store::{Argument, Backend, Error, Scope, stream::ByteStream};
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::p2::{DynInputStream, IoError, pipe::ClosedInputStream};

/// The storage of one guest: a backend, a scope, and a limit of open streams and writers.
pub struct StorageCtx {
    store: Store,
    permits: Arc<Semaphore>,
    is_stall: fn(&wasmtime::Error) -> bool,
}

impl StorageCtx {
    /// Creates storage in a scope of a backend. The guest can narrow the scope and never leave it. It may hold
    /// [`limits::OPEN_MAX`] streams, readers and writers open.
    pub fn new(backend: Arc<dyn Backend>, scope: Scope) -> Self {
        StorageCtx {
            store: Store { backend, scope },
            permits: Arc::new(Semaphore::new(limits::OPEN_MAX)),
            is_stall: |_| false,
        }
    }

    /// Sets the number of streams, readers and writers that the guest may hold open at a time.
    #[must_use]
    pub fn with_open_max(mut self, open_max: usize) -> Self {
        self.permits = Arc::new(Semaphore::new(open_max.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// Recognises further errors of a source as a stall, which the guest sees as `stalled`: those of the embedder's own
    /// streams, such as `wasi:http` bodies. An [`std::io::ErrorKind::TimedOut`] is one without this.
    #[must_use]
    pub fn with_stall(mut self, is_stall: fn(&wasmtime::Error) -> bool) -> Self {
        self.is_stall = is_stall;
        self
    }

    fn permit(&self) -> Result<Permit> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            tracing::debug!("a guest has reached its limit of open streams and writers");
            Fault::unlogged(Error::unavailable("too many open streams and writers")).into()
        })
    }
}

/// A [`StorageCtx`] with the table of the guest's handles.
pub struct StorageCtxView<'a> {
    /// The guest's storage.
    pub ctx: &'a mut StorageCtx,
    /// The guest's table of handles, which also has its `wasi:io` streams.
    pub table: &'a mut ResourceTable,
}

/// Implemented by the data of a [`wasmtime::Store`] whose guest gets storage.
pub trait StorageView: Send {
    /// Returns the storage of this guest.
    fn storage(&mut self) -> StorageCtxView<'_>;
}

/// Adds `portico:storage` to a linker. [`wasmtime_wasi::p2::add_to_linker_async`] adds the `wasi:io` interfaces that it
/// depends on.
///
/// # Errors
/// If the linker already has the interface.
pub fn add_to_linker<T: StorageView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Storage>(linker, T::storage)
}

struct Storage;

impl HasData for Storage {
    type Data<'a> = StorageCtxView<'a>;
}

/// The resource behind a guest's `store`.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct Store {
    backend: Arc<dyn Backend>,
    scope: Scope,
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

type Result<T, E = Failure> = std::result::Result<T, E>;

impl StorageCtxView<'_> {
    fn store(&self, handle: &Resource<Store>) -> Result<Store> {
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
            Ok(stream) => Ok(Pull::new(stream).with_stall(self.ctx.is_stall)),
            Err(ResourceTableError::HasChildren) => {
                *self.table.get_mut(&left)? = Box::new(ClosedInputStream);
                Err(Error::InvalidArgument(Argument::Content).into())
            }
            Err(error) => Err(error.into()),
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
        Ok(self.table.push(self.ctx.store.clone())?)
    }

    async fn error_of(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<wit::Error>> {
        Ok(self.table.get(&error)?.downcast_ref::<Fault>().map(wit::Error::from))
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
