//! Runs a portal: one fresh instance of its component for each request.
//!
//! Invariants: the component is compiled and linked once; an instance serves one request and is dropped; whatever a
//! guest does ends it and nothing else. Limits on it stand in [`limits`], its processor time in [`deadline`].

pub mod deadline;
mod guest;
mod headroom;
pub mod limits;
mod output;

pub use deadline::DeadlineExceeded;
pub use limits::Limits;

use crate::bindings::MaintainedPre;
use deadline::Deadline;
use guest::Guest;
use http_body::Body;
use portico_host::StorageCtx;
use portico_store::{Backend, Scope};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Why a portal cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The engine cannot be made.
    #[error("cannot set up the WebAssembly engine for {guests} guests (max_requests)")]
    Engine {
        /// Guests at once, of the limits.
        guests: u32,
        /// What the engine says.
        #[source]
        cause: wasmtime::Error,
    },
    /// The component does not compile, or needs more than the limits allow.
    #[error("the portal is not a WebAssembly component that can be compiled")]
    Compile(#[source] wasmtime::Error),
    /// The component imports what this host does not give.
    #[error("the portal imports something that this host does not provide")]
    Link(#[source] wasmtime::Error),
    /// The component has another export than `wasi:http/incoming-handler`.
    #[error("the portal does not answer HTTP requests (no export wasi:http/incoming-handler@0.2)")]
    NotAPortal(#[source] wasmtime::Error),
    /// No thread for the epoch.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// How a guest failed its request.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Every slot for guests is taken.
    #[error("all slots for guests are in use")]
    NoSlot(#[source] wasmtime::Error),
    /// The instance could not be made.
    #[error("the guest could not be instantiated")]
    Instantiate(#[source] wasmtime::Error),
    /// Its processor time was used up.
    #[error(transparent)]
    Deadline(DeadlineExceeded),
    /// It trapped.
    #[error("the guest trapped")]
    Trap(#[source] wasmtime::Error),
    /// It returned without the end of its response body.
    #[error("the guest returned without finishing the body of its response")]
    Unfinished,
    /// The request has a form that cannot be handed to a guest.
    #[error("the request cannot be handed to a guest")]
    Request(#[source] wasmtime::Error),
    /// It was dropped: its client had gone, or did not read on.
    #[error("the guest was dropped before it returned")]
    Dropped,
}

/// Why a step of a portal's maintenance failed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The guest failed.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The store answered the portal with an error, whose cause is in the log already.
    #[error("the portal's maintenance met an error of the store: {0}")]
    Portal(crate::bindings::portico::storage::storage::Error),
    /// A step ended where it had begun, and so would the next one.
    #[error("the portal's maintenance does not get on")]
    Stuck,
}

/// What a step of a portal's maintenance did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sessions that it ended because their time was over.
    pub expired: u32,
    /// Sessions that had ended, whose left parts it deleted.
    pub cleared: u32,
    /// Sessions and ids that it forgot.
    pub purged: u32,
    /// Where the next step begins; `None` after the last one.
    pub next: Option<String>,
}

/// Recognises the error that a request body of this server ends with when its client has stalled.
fn is_stall(cause: &wasmtime::Error) -> bool {
    matches!(cause.downcast_ref(), Some(wasmtime_wasi_http::Error::ConnectionReadTimeout))
}

impl GuestError {
    fn of_instantiation(error: wasmtime::Error) -> GuestError {
        match error.downcast::<wasmtime::PoolConcurrencyLimitError>() {
            Ok(limit) => GuestError::NoSlot(limit.into()),
            Err(error) => match GuestError::of_call(error) {
                GuestError::Trap(error) => GuestError::Instantiate(error),
                other => other,
            },
        }
    }

    fn of_call(error: wasmtime::Error) -> GuestError {
        match error.downcast::<DeadlineExceeded>() {
            Ok(deadline) => GuestError::Deadline(deadline),
            Err(error) => GuestError::Trap(error),
        }
    }
}

/// A portal, ready to answer requests. Clones are the same one.
#[derive(Clone)]
pub struct Runtime {
    pre: ProxyPre<Guest>,
    maintained: Option<MaintainedPre<Guest>>,
    config: Arc<WasiConfigVariables>,
    backend: Arc<dyn Backend>,
    scope: Scope,
    limits: Limits,
}

impl Runtime {
    /// Compiles a component and links it with storage in `scope` of `backend`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        component: &[u8],
        backend: Arc<dyn Backend>,
        scope: Scope,
        limits: Limits,
    ) -> Result<Runtime, SetupError> {
        let engine = engine(&limits).map_err(|cause| SetupError::Engine { guests: limits.guests, cause })?;
        let component = Component::new(&engine, component).map_err(SetupError::Compile)?;
        let mut linker = Linker::<Guest>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
            .and_then(|()| wasmtime_wasi_config::add_to_linker(&mut linker, Guest::config))
            .and_then(|()| portico_host::add_to_linker(&mut linker))
            .map_err(SetupError::Link)?;
        let pre = linker.instantiate_pre(&component).map_err(SetupError::Link)?;
        // A portal may go without it.
        let maintained = MaintainedPre::new(pre.clone()).ok();
        let pre = ProxyPre::new(pre).map_err(SetupError::NotAPortal)?;
        deadline::start_ticker(&engine).map_err(SetupError::Thread)?;
        let config = Arc::new(WasiConfigVariables::new());
        Ok(Runtime { pre, maintained, config, backend, scope, limits })
    }

    /// With settings, which the portal finds in `wasi:config/store`.
    #[must_use]
    pub fn with_config<S: Into<String>>(mut self, settings: impl IntoIterator<Item = (S, S)>) -> Runtime {
        self.config = Arc::new(settings.into_iter().collect());
        self
    }

    /// Runs a step of the portal's maintenance in a fresh guest; `None` if the portal has none. The first step of a round
    /// has no `after`, the next ones that of the step before.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub async fn maintain(
        &self,
        id: &Arc<str>,
        budget: Duration,
        after: Option<&str>,
    ) -> Result<Option<Progress>, MaintenanceError> {
        let Some(pre) = &self.maintained else { return Ok(None) };
        let (mut store, deadline) = self.store(id, Arc::default());
        let guest = deadline.run(pre.instantiate_async(&mut store)).await.map_err(GuestError::of_instantiation)?;
        let budget = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX);
        let maintenance = guest.portico_storage_maintenance();
        let run = deadline.run(maintenance.call_run(&mut store, budget, after)).instrument(span(id));
        let run = run.await.map_err(GuestError::of_call)?;
        let progress = run.map_err(MaintenanceError::Portal)?;
        Ok(Some(Progress {
            expired: progress.expired,
            cleared: progress.cleared,
            purged: progress.purged,
            next: progress.next,
        }))
    }

    fn store(&self, id: &Arc<str>, moved: Arc<AtomicU64>) -> (Store<Guest>, Deadline) {
        let storage = StorageCtx::new(self.backend.clone(), self.scope.clone()).with_stall(is_stall);
        Guest::store(self.pre.engine(), storage, self.config.clone(), &self.limits, id, moved)
    }

    /// A fresh instance for the request of that id, which its output goes to the log under. `moved` counts the bytes
    /// of its bodies, which earn it processor time.
    ///
    /// # Errors
    /// [`GuestError::NoSlot`], [`GuestError::Instantiate`], and [`GuestError::Deadline`] if the component's own
    /// start takes too long.
    pub async fn instantiate(&self, request: &Arc<str>, moved: Arc<AtomicU64>) -> Result<Instance, GuestError> {
        let (mut store, deadline) = self.store(request, moved);
        let proxy = deadline.run(self.pre.instantiate_async(&mut store)).await.map_err(GuestError::of_instantiation)?;
        Ok(Instance { store, proxy, deadline })
    }

    /// Runs a fresh guest for a request until it returns. The head of its response, or what it answers in place of
    /// one, goes to `answer` as soon as the guest gives it; the body flows after that while this runs. `answer` is
    /// dropped without a value if the guest gives none, and the error says why.
    ///
    /// Dropping the future drops the guest.
    ///
    /// # Errors
    /// [`GuestError`]. A response whose head has gone out is incomplete then, whatever its body says.
    pub async fn serve<B>(
        &self,
        request_id: &Arc<str>,
        moved: Arc<AtomicU64>,
        request: http::Request<B>,
        answer: oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCode>>,
    ) -> Result<(), GuestError>
    where
        B: Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        let instance = self.instantiate(request_id, moved).await?;
        instance.serve(request, answer).instrument(span(request_id)).await
    }
}

/// One instance of a portal.
pub struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    deadline: Deadline,
}

impl Instance {
    async fn serve<B>(
        mut self,
        request: http::Request<B>,
        answer: oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCode>>,
    ) -> Result<(), GuestError>
    where
        B: Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        let mut http = self.store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(GuestError::Request)?;
        let answer = http.new_response_outparam(answer).map_err(GuestError::Request)?;
        let handler = self.proxy.wasi_http_incoming_handler();
        self.deadline.run(handler.call_handle(&mut self.store, request, answer)).await.map_err(GuestError::of_call)?;
        if self.store.data_mut().holds_response_body() { Err(GuestError::Unfinished) } else { Ok(()) }
    }
}

/// What is logged while a guest runs for a request, by the store above all, has the request's id. It is there at each
/// level of the log.
fn span(request: &str) -> Span {
    tracing::error_span!("guest", request)
}

/// Where the addresses of guests' memories come from.
#[derive(Clone, Copy, Debug)]
enum Addresses {
    /// 4 GiB for each guest, kept from the beginning: no access of a guest needs a check.
    Ample,
    /// As much as a guest may use, kept from the beginning: each access is checked.
    Tight,
    /// What a guest uses, from the system for each anew.
    AsNeeded,
}

/// The engine with the most ample addresses that this machine has: some have few, by `ulimit -v`, in a container or by
/// their processor.
fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    for addresses in [Addresses::Ample, Addresses::Tight] {
        match Engine::new(&config(limits, addresses)) {
            Ok(engine) if headroom::is_enough() => return Ok(engine),
            Ok(_) => tracing::debug!(?addresses, "too few addresses would be left"),
            Err(error) => tracing::debug!(?addresses, error = format!("{error:#}"), "too few addresses"),
        }
        tracing::warn!(
            guests = limits.guests,
            "this process may not have the addresses for so many guests ({addresses:?}), and requests will take more time: \
             raise the limit (ulimit -v), or lower max_requests or guest_memory"
        );
    }
    Engine::new(&config(limits, Addresses::AsNeeded))
}

fn config(limits: &Limits, addresses: Addresses) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::FIBER_STACK);
    match addresses {
        Addresses::Ample => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        }
        Addresses::Tight => {
            config.memory_reservation(limits.memory as u64).memory_guard_size(limits::GUARD);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        }
        Addresses::AsNeeded => {
            config.memory_reservation(0).memory_guard_size(limits::GUARD);
            config.memory_reservation_for_growth(limits::GROWTH);
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
    }
    config
}

/// A slot for each guest that may run.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let guests = limits.guests.saturating_add(limits::UPKEEP_GUESTS);
    pool.total_component_instances(guests)
        .total_core_instances(guests.saturating_mul(limits::CORE_INSTANCES))
        .total_memories(guests.saturating_mul(limits::MEMORIES))
        .total_tables(guests.saturating_mul(limits::TABLES))
        .total_stacks(guests)
        .max_core_instances_per_component(limits::CORE_INSTANCES)
        .max_memories_per_component(limits::MEMORIES)
        .max_tables_per_component(limits::TABLES)
        .max_memory_size(limits.memory)
        .table_elements(limits::TABLE_ELEMENTS)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT)
        .async_stack_keep_resident(limits::KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}
