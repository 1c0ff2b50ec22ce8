//! The interface `portico:storage/storage` for guests: the only place where its types meet those of the backends.
//!
//! Invariants: every name is checked here before a backend sees it; the scope of a handle is decided when the handle
//! is made, and goes along with every call; a fault of the guest is a typed error, a misused handle a trap.

mod convert;
pub(crate) mod reader;
mod store;
mod writer;

use crate::bindings::portico::storage::storage as wit;
use crate::fault::Fault;
use crate::limits;
use crate::streams::{Place, Pull, Reader};
use portico_store::{Argument, Backend, Error, Scope, stream::ByteStream};
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::p2::{DynInputStream, IoError, pipe::ClosedInputStream};

/// What one guest may use: a backend and a scope of it.
pub struct StorageCtx {
    store: Store,
    places: Arc<Semaphore>,
    is_stall: fn(&wasmtime::Error) -> bool,
}

impl StorageCtx {
    /// Storage in a scope of a backend. The guest can narrow the scope, and see nothing outside. It may hold
    /// [`limits::OPEN_MAX`] streams and writers open.
    pub fn new(backend: Arc<dyn Backend>, scope: Scope) -> Self {
        StorageCtx {
            store: Store { backend, scope },
            places: Arc::new(Semaphore::new(limits::OPEN_MAX)),
            is_stall: |_| false,
        }
    }

    /// Lets the guest hold this many streams and writers open at a time.
    #[must_use]
    pub fn with_open_max(mut self, open_max: usize) -> Self {
        self.places = Arc::new(Semaphore::new(open_max.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// Recognises further errors of a source as a stall, which the guest sees as `stalled`: those of the embedder's own
    /// streams, such as `wasi:http` bodies. An [`std::io::ErrorKind::TimedOut`] is one without this.
    #[must_use]
    pub fn with_stall(mut self, is_stall: fn(&wasmtime::Error) -> bool) -> Self {
        self.is_stall = is_stall;
        self
    }

    fn place(&self) -> Result<Place> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            tracing::debug!("a guest holds as many streams and writers as it may");
            Fault::unlogged(Error::unavailable("too many open streams and writers")).into()
        })
    }
}

/// A [`StorageCtx`] with the table that the guest's handles are in.
pub struct StorageCtxView<'a> {
    /// What the guest may use.
    pub ctx: &'a mut StorageCtx,
    /// Its table of handles, the same one that the guest's `wasi:io` streams are in.
    pub table: &'a mut ResourceTable,
}

/// Implemented by the data of a [`wasmtime::Store`] whose guest gets storage.
pub trait StorageView: Send {
    /// The storage of this guest.
    fn storage(&mut self) -> StorageCtxView<'_>;
}

/// Adds `portico:storage` to a linker. The `wasi:io` interfaces that it rests on are not added; they come with
/// [`wasmtime_wasi::p2::add_to_linker_async`].
///
/// # Errors
/// If the linker has that interface already.
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

/// Why a host function does not answer: an error for the guest, or a trap.
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

    /// Takes a stream that the guest handed over out of its table.
    ///
    /// One that the guest holds a pollable of cannot leave the table. It is consumed all the same: the stream itself
    /// is dropped, and a closed one stays in its place, on which the pollable answers at once. What that was a child
    /// of, an `incoming-body` for instance, cannot be dropped any more, and traps.
    fn take_content(&mut self, handle: Resource<DynInputStream>) -> Result<Pull> {
        let place = Resource::<DynInputStream>::new_own(handle.rep());
        match self.table.delete(handle) {
            Ok(stream) => Ok(Pull::new(stream).with_stall(self.ctx.is_stall)),
            Err(ResourceTableError::HasChildren) => {
                *self.table.get_mut(&place)? = Box::new(ClosedInputStream);
                Err(Error::InvalidArgument(Argument::Content).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands a stream of a backend to the guest. It is a child of nothing: it goes on without its store.
    fn push_stream(&mut self, stream: Box<dyn ByteStream>, place: Place) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Reader::new(stream, place));
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
