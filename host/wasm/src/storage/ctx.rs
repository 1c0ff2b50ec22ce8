//! The storage of one guest, and the way to it from the data of a `wasmtime::Store`.

use super::link::SecondTable;
use super::{Result, Store};
use crate::fault::Fault;
use crate::limits;
use crate::streams::Permit;
use portico_store::guard::{Event, Quota, Rules};
use portico_store::{Backend, Error, Scope};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use wasmtime::component::ResourceTable;

/// The storage of one guest: a backend, a scope, and its limits.
///
/// A clone is the same storage with the same limits. A host can therefore keep the storage wherever it keeps the
/// capabilities of a guest, also behind an [`Arc`] of its own.
#[derive(Clone)]
pub struct StorageCtx(Arc<Inner>);

struct Inner {
    store: Store,
    permits: Arc<Semaphore>,
    #[cfg(feature = "p3")]
    calls: Arc<Semaphore>,
    is_stall: fn(&wasmtime::Error) -> bool,
    second_table: AtomicBool,
}

impl StorageCtx {
    /// Creates storage in a scope of a backend, with the defaults of [`StorageCtx::builder`].
    pub fn new(backend: Arc<dyn Backend>, scope: Scope) -> Self {
        StorageCtx::builder(backend, scope).build()
    }

    /// Begins storage in a scope of a backend. The guest can narrow the scope and never leave it.
    pub fn builder(backend: Arc<dyn Backend>, scope: Scope) -> StorageCtxBuilder {
        StorageCtxBuilder { backend, scope, rules: Rules::default(), open_max: limits::OPEN_MAX, is_stall: |_| false }
    }

    /// Returns the backend and scope of a new handle.
    pub(crate) fn store(&self) -> Store {
        self.0.store.clone()
    }

    pub(super) fn is_stall(&self) -> fn(&wasmtime::Error) -> bool {
        self.0.is_stall
    }

    /// Takes a permit for one open stream, reader or writer.
    pub(crate) fn permit(&self) -> Result<Permit> {
        Arc::clone(&self.0.permits).try_acquire_owned().map_err(|_| {
            tracing::debug!("a guest has reached its limit of open streams and writers");
            Fault::unlogged(Error::unavailable("too many open streams and writers")).into()
        })
    }

    /// Takes a permit for one call in flight.
    #[cfg(feature = "p3")]
    pub(crate) fn call(&self) -> Result<Permit> {
        Arc::clone(&self.0.calls).try_acquire_owned().map_err(|_| {
            tracing::debug!("a guest has reached its limit of calls in flight");
            Fault::unlogged(Error::unavailable("too many calls in flight")).into()
        })
    }

    /// Remembers that the table of this storage is not the table of the guest's WASI.
    pub(super) fn found_second_table(&self) {
        self.0.second_table.store(true, Ordering::Relaxed);
    }

    /// Traps if the table of this storage is not the table of the guest's WASI.
    pub(super) fn check_tables(&self) -> wasmtime::Result<()> {
        if self.0.second_table.load(Ordering::Relaxed) { Err(SecondTable.into()) } else { Ok(()) }
    }
}

/// Builds a [`StorageCtx`].
///
/// ```
/// use portico_host::StorageCtx;
/// use portico_store::guard::{Event, Outcome, Quota, Usage};
/// use portico_store::{Backend, Scope, local::LocalStore};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// // Opened once, and shared by all guests.
/// let backend: Arc<dyn Backend> = Arc::new(LocalStore::open(folder, Default::default()).await?);
///
/// // For each tenant: a scope, and a quota that knows what the tenant stored before this process started.
/// let scope = Scope::root().narrow("alice")?;
/// let quota = Quota::new(Usage { bytes: 1 << 30, objects: 10_000 });
/// quota.set_used(Usage::of(&*backend, &scope).await?);
///
/// // For each guest of that tenant.
/// let storage = StorageCtx::builder(backend, scope)
///     .quota(quota)
///     .max_object_size(64 << 20)
///     .open_max(16)
///     .observer(|event: &Event<'_>| {
///         let failed = matches!(event.outcome, Outcome::Failed(_));
///         println!("{} {} bytes, failed: {failed}", event.operation.as_str(), event.bytes);
///     })
///     .build();
/// # drop(storage);
/// # Ok(()) }) }
/// ```
#[must_use]
pub struct StorageCtxBuilder {
    backend: Arc<dyn Backend>,
    scope: Scope,
    rules: Rules,
    open_max: usize,
    is_stall: fn(&wasmtime::Error) -> bool,
}

impl StorageCtxBuilder {
    /// Sets the number of streams, readers and writers that the guest may hold open at a time. The default is
    /// [`limits::OPEN_MAX`]. Beyond it the guest gets `unavailable`.
    pub fn open_max(mut self, open_max: usize) -> Self {
        self.open_max = open_max.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Recognises further errors of a source as a stall, which the guest sees as `stalled`: errors of the embedder's own
    /// streams, such as `wasi:http` bodies. An [`std::io::ErrorKind::TimedOut`] is a stall without this.
    /// A source of generation 0.3 says in its status that it stalled, so this does not concern it.
    pub fn stall(mut self, is_stall: fn(&wasmtime::Error) -> bool) -> Self {
        self.is_stall = is_stall;
        self
    }

    /// Refuses with `denied` all that would change the store.
    pub fn read_only(mut self) -> Self {
        self.rules.read_only = true;
        self
    }

    /// Sets the largest part or object, in bytes; at most what the backend stores. More is `too-large`.
    pub fn max_object_size(mut self, bytes: u64) -> Self {
        self.rules.max_object_size = Some(bytes);
        self
    }

    /// Bounds what the guest stores. More is `no-space`. [`Quota`] says what counts, and how a quota survives a restart.
    /// All storage of one tenant gets a clone of one quota.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.rules.quota = Some(quota);
        self
    }

    /// Calls `observer` at the end of each operation that reached the backend or that a rule refused: for metrics and
    /// audit. The call must not block. Arguments without their documented form are refused earlier.
    pub fn observer(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.rules.observer = Some(Arc::new(observer));
        self
    }

    /// Runs each operation in a `tracing` span `storage` of the level `DEBUG`, a child of the span of the guest's call.
    /// With the guest's call in a span of the embedder (`tracing::Instrument`), whatever a backend logs carries the
    /// embedder's context, also when the guest has gone.
    pub fn spans(mut self) -> Self {
        self.rules.spans = true;
        self
    }

    /// Makes the storage.
    pub fn build(self) -> StorageCtx {
        let backend = if self.rules.any() { self.rules.guard(self.backend) } else { self.backend };
        StorageCtx(Arc::new(Inner {
            store: Store { backend, scope: self.scope },
            permits: Arc::new(Semaphore::new(self.open_max)),
            #[cfg(feature = "p3")]
            calls: Arc::new(Semaphore::new(limits::CALLS_MAX)),
            is_stall: self.is_stall,
            second_table: AtomicBool::new(false),
        }))
    }
}

/// A [`StorageCtx`] with the table of the guest's handles.
pub struct StorageCtxView<'a> {
    /// The guest's storage, cloned.
    pub ctx: StorageCtx,
    /// The table of the guest's WASI, which has its `wasi:io` streams. A table of its own does not work.
    pub table: &'a mut ResourceTable,
}

/// Implemented by the data of a [`wasmtime::Store`] whose guest gets storage.
///
/// Data of a foreign type need not implement this: see [`crate::add_to_linker_with`].
pub trait StorageView: Send {
    /// Returns the storage of this guest.
    fn storage(&mut self) -> StorageCtxView<'_>;
}
