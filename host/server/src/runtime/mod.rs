//! Runs a portal: a fresh instance of its component for each request.
//!
//! Invariants: the component is compiled and linked once; an instance serves one request and is dropped; a misbehaving guest
//! ends only itself. [`limits`] bounds its memory, and [`deadline`] its processor time.

mod artifact;
mod cache;
mod compiler;
pub mod deadline;
mod engine;
mod exchange;
mod guest;
mod headroom;
mod limiter;
pub mod limits;
mod link;
mod output;
mod precompiled;
mod shape;

pub use artifact::ArtifactError;
pub use cache::{CacheError, CompileCache};
pub use compiler::{Abort, CHILD_COMMAND, Compiled, Compiler, PortalFile, compile, compile_for_parent, describe};
pub use deadline::DeadlineExceeded;
pub use exchange::{InterimSink, Uploads};
pub use limits::Limits;
pub use link::{Links, try_link};
pub use shape::{ComponentError, Needs, Shape};

use crate::bindings::MaintainedPre;
use deadline::Deadline;
use exchange::NoInterim;
use guest::Guest;
use http_body::Body;
use link::Linked;
use portico_host::StorageCtx;
use portico_store::{Backend, Scope};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use wasmtime::Store;
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Why a portal cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The engine cannot be created.
    #[error("cannot set up the WebAssembly engine for {guests} guests (max_requests)")]
    Engine {
        /// The configured number of guests.
        guests: u32,
        /// The engine's error.
        #[source]
        cause: wasmtime::Error,
    },
    /// The file is not a component that this host can run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component does not compile, or its adapters exceed the limits.
    #[error("the portal is not a WebAssembly component that can be compiled")]
    Compile(#[source] wasmtime::Error),
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// The compiled file is not loaded.
    #[error(transparent)]
    Compiled(Box<ArtifactError>),
    /// The compiled file does not fit this machine or the version of wasmtime.
    #[error(
        "the compiled portal does not fit this program or this processor: compile it again, on this kind of machine"
    )]
    Load(#[source] wasmtime::Error),
    /// The compiled file is for another memory limit.
    #[error("the portal was compiled for guest_memory = {compiled}, and {configured} is configured: compile it again")]
    OtherMemory {
        /// The limit that the code is for, in bytes.
        compiled: usize,
        /// The configured limit, in bytes.
        configured: usize,
    },
    /// The component does not compile. The compiler ran in a process of its own.
    #[error("the portal is not a WebAssembly component that can be compiled: {0}")]
    CompileElsewhere(String),
    /// A signal ended the compiler's process.
    #[error(
        "signal {0} ended the process that compiles the portal; if that was for lack of memory, give the process more, or \
         compile elsewhere with `portico compile`"
    )]
    CompilerKilled(i32),
    /// The compiler's process cannot be reached, or its result cannot be written.
    #[error("cannot compile the portal")]
    Compiler(#[source] std::io::Error),
    /// The compilation was ended, because nobody wants its result any more.
    #[error("the compilation was ended early")]
    Aborted,
    /// The component cannot be linked.
    #[error("the portal cannot be linked")]
    Link(#[source] wasmtime::Error),
    /// The component imports interfaces that this host lacks.
    #[error(
        "the portal imports something that this host does not provide: {0}; build it without that, or compose it with \
         components that provide it (`wac plug`)"
    )]
    Missing(String),
    /// The component does not export `wasi:http/incoming-handler`.
    #[error("the portal does not answer HTTP requests (no export wasi:http/incoming-handler@0.2)")]
    NotAPortal(#[source] wasmtime::Error),
    /// The thread that advances the epoch cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl SetupError {
    /// Returns the error for imports that are missing, each with the reason.
    pub fn missing(imports: &[(String, String)]) -> SetupError {
        let each: Vec<String> = imports.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        SetupError::Missing(each.join(", "))
    }
}

/// Why a guest failed its request.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// All slots for guests are taken.
    #[error("all slots for guests are in use")]
    NoSlot(#[source] wasmtime::Error),
    /// The component cannot be instantiated.
    #[error("the guest could not be instantiated")]
    Instantiate(#[source] wasmtime::Error),
    /// The guest used up its processor time.
    #[error(transparent)]
    Deadline(DeadlineExceeded),
    /// The guest trapped.
    #[error("the guest trapped")]
    Trap(#[source] wasmtime::Error),
    /// The guest returned before it had finished its response body.
    #[error("the guest returned without finishing the body of its response")]
    Unfinished,
    /// The request cannot be converted for a guest.
    #[error("the request cannot be handed to a guest")]
    Request(#[source] wasmtime::Error),
    /// The guest was dropped, because its client had gone or stalled.
    #[error("the guest was dropped before it returned")]
    Dropped,
}

/// Why a step of a portal's maintenance failed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The guest failed.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The portal reported an error of the store, whose cause is in the log.
    #[error("the portal's maintenance reports an error of the store: {0}")]
    Portal(crate::bindings::portico::storage::storage::Error),
    /// A step returned the position that it began with, so the round would never end.
    #[error("the portal's maintenance makes no progress")]
    Stuck,
}

/// The results of one maintenance step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceStep {
    /// Sessions that expired.
    pub expired: u32,
    /// Ended sessions whose remaining parts were deleted.
    pub cleared: u32,
    /// Ended sessions and deleted ids that were forgotten.
    pub purged: u32,
    /// Open sessions that have parts.
    pub open_sessions: u32,
    /// Bytes of the parts of open sessions.
    pub open_bytes: u64,
    /// The position at which the next step begins; `None` after the last step.
    pub next: Option<String>,
}

/// Recognizes the error of a request body whose client has stalled.
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

/// A compiled portal. Clones share the engine.
#[derive(Clone)]
pub struct Runtime {
    pre: ProxyPre<Guest>,
    maintained: Option<MaintainedPre<Guest>>,
    config: Arc<WasiConfigVariables>,
    backend: Arc<dyn Backend>,
    scope: Scope,
    limits: Limits,
    uploads: Uploads,
}

impl Runtime {
    /// Compiles a component, and links it with storage in `scope` of `backend`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        component: &[u8],
        backend: Arc<dyn Backend>,
        scope: Scope,
        limits: Limits,
    ) -> Result<Runtime, SetupError> {
        let file = PortalFile::Component(component.to_vec().into());
        let compiled = Compiler::in_process().prepare(&file, &limits, &Abort::default())?;
        Runtime::link(compiled, backend, scope)
    }

    /// Links a compiled component with storage in `scope` of `backend`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn link(compiled: Compiled, backend: Arc<dyn Backend>, scope: Scope) -> Result<Runtime, SetupError> {
        let Linked { proxy: pre, maintained } = link::link(&compiled)?;
        let Compiled { engine, limits, .. } = compiled;
        deadline::start_ticker(&engine).map_err(SetupError::Thread)?;
        let config = Arc::new(WasiConfigVariables::new());
        Ok(Runtime { pre, maintained, config, backend, scope, limits, uploads: Uploads::default() })
    }

    /// Sets the settings that the portal finds in `wasi:config/store`.
    #[must_use]
    pub fn with_config<S: Into<String>>(mut self, settings: impl IntoIterator<Item = (S, S)>) -> Runtime {
        self.config = Arc::new(settings.into_iter().collect());
        self
    }

    /// Returns the counters of ended uploads, which all clones share.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Runs one maintenance step in a fresh guest. Returns `None` if the portal has no maintenance. The first step has no
    /// `after`, each later one the `next` of the step before.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub async fn maintain(
        &self,
        id: &Arc<str>,
        budget: Duration,
        after: Option<&str>,
    ) -> Result<Option<MaintenanceStep>, MaintenanceError> {
        let Some(pre) = &self.maintained else { return Ok(None) };
        let (mut store, deadline) = self.store(id, Arc::default(), Arc::new(NoInterim));
        let guest = deadline.run(pre.instantiate_async(&mut store)).await.map_err(GuestError::of_instantiation)?;
        let budget = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX);
        let maintenance = guest.portico_storage_maintenance();
        let run = deadline.run(maintenance.call_run(&mut store, budget, after)).instrument(span(id));
        let run = run.await.map_err(GuestError::of_call)?;
        let progress = run.map_err(MaintenanceError::Portal)?;
        Ok(Some(MaintenanceStep {
            expired: progress.expired,
            cleared: progress.cleared,
            purged: progress.purged,
            open_sessions: progress.open_sessions,
            open_bytes: progress.open_bytes,
            next: progress.next,
        }))
    }

    fn store(&self, id: &Arc<str>, moved: Arc<AtomicU64>, interim: Arc<dyn InterimSink>) -> (Store<Guest>, Deadline) {
        let storage = StorageCtx::new(self.backend.clone(), self.scope.clone()).with_stall(is_stall);
        let exchange = exchange::ExchangeCtx { interim, uploads: self.uploads.clone() };
        Guest::store(self.pre.engine(), storage, exchange, self.config.clone(), &self.limits, id, moved)
    }

    /// Creates a fresh instance, whose output is logged under the request's id. `moved` counts the bytes of the request's
    /// bodies, which earn processor time.
    ///
    /// # Errors
    /// [`GuestError::NoSlot`], [`GuestError::Instantiate`], and [`GuestError::Deadline`] if the component's start takes too
    /// long.
    pub async fn instantiate(&self, request: &Arc<str>, moved: Arc<AtomicU64>) -> Result<Instance, GuestError> {
        self.instantiate_for(request, moved, Arc::new(NoInterim)).await
    }

    async fn instantiate_for(
        &self,
        request: &Arc<str>,
        moved: Arc<AtomicU64>,
        interim: Arc<dyn InterimSink>,
    ) -> Result<Instance, GuestError> {
        let (mut store, deadline) = self.store(request, moved, interim);
        let proxy = deadline.run(self.pre.instantiate_async(&mut store)).await.map_err(GuestError::of_instantiation)?;
        Ok(Instance { store, proxy, deadline })
    }

    /// Runs a fresh guest for a request until the guest returns. Sends the head of the response, or the guest's error code, to
    /// `answer` as soon as the guest sets it; the body flows while this future runs. Drops `answer` if the guest sets none; the
    /// error says why. The guest sends interim responses by `interim`.
    ///
    /// Dropping the future drops the guest.
    ///
    /// # Errors
    /// [`GuestError`]. A response whose head was sent is then incomplete, even if its body seems complete.
    pub async fn serve<B>(
        &self,
        request_id: &Arc<str>,
        moved: Arc<AtomicU64>,
        interim: Arc<dyn InterimSink>,
        request: http::Request<B>,
        answer: oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCode>>,
    ) -> Result<(), GuestError>
    where
        B: Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        let instance = self.instantiate_for(request_id, moved, interim).await?;
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

/// Returns the span that adds the request's id to log lines. Enabled at every log level.
fn span(request: &str) -> Span {
    tracing::error_span!("guest", request)
}
