//! Runs a portal: a fresh instance of its component for each request.
//!
//! Invariants: the component is compiled and linked once; an instance serves one request and is dropped; a misbehaving guest
//! ends only itself. [`limits`] bounds its memory, and [`deadline`] its processor time.

mod artifact;
mod cache;
mod compiler;
mod compose;
pub mod deadline;
mod engine;
mod error;
mod exchange;
mod guest;
mod headroom;
mod known;
mod label;
mod limiter;
pub mod limits;
mod link;
mod output;
mod precompiled;
#[cfg(feature = "p3")]
mod service;
mod shape;

pub use artifact::ArtifactError;
pub use cache::{CacheError, CompileCache};
pub use compiler::{Abort, CHILD_COMMAND, Compiled, Compiler, PortalFile, compile, compile_for_parent, describe};
pub use compose::{AdapterComponent, ComposeError};
pub use deadline::DeadlineExceeded;
pub use error::{GuestError, MaintenanceError, SetupError};
pub use exchange::{InterimSink, Uploads};
pub use known::{ADAPTERS, KnownAdapter};
pub use label::PortalLabel;
pub use limits::Limits;
pub use link::{Links, try_link};
pub use shape::{ComponentError, Needs, Shape};

use crate::bindings::MaintainedPre;
use deadline::Deadline;
use exchange::NoInterim;
use guest::Guest;
use http_body::Body;
use link::{Handler, HandlerPre, Linked};
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
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

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

/// A compiled portal. Clones share the engine.
#[derive(Clone)]
pub struct Runtime {
    pre: HandlerPre,
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
        let Linked { handler: pre, maintained } = link::link(&compiled)?;
        let Compiled { engine, limits, .. } = compiled;
        deadline::start_ticker(&engine).map_err(SetupError::Thread)?;
        let config = Arc::new(WasiConfigVariables::new());
        Ok(Runtime {
            pre,
            maintained,
            config,
            backend,
            scope,
            limits,
            uploads: Uploads::default().of(PortalLabel::default()),
        })
    }

    /// Sets the settings that the portal finds in `wasi:config/store`.
    #[must_use]
    pub fn with_config<S: Into<String>>(mut self, settings: impl IntoIterator<Item = (S, S)>) -> Runtime {
        self.config = Arc::new(settings.into_iter().collect());
        self
    }

    /// Counts ended uploads in `uploads`.
    #[must_use]
    pub fn with_uploads(self, uploads: Uploads) -> Runtime {
        Runtime { uploads, ..self }
    }

    /// Returns the limits on guests.
    pub fn limits(&self) -> &Limits {
        &self.limits
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
        let storage = StorageCtx::builder(self.backend.clone(), self.scope.clone()).stall(is_stall).build();
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
        let handler = deadline.run(self.pre.instantiate(&mut store)).await.map_err(GuestError::of_instantiation)?;
        Ok(Instance { store, handler, deadline })
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
    handler: Handler,
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
        #[cfg(not(feature = "p3"))]
        let Handler::Wasi02(proxy) = self.handler;
        #[cfg(feature = "p3")]
        let proxy = match self.handler {
            Handler::Wasi02(proxy) => proxy,
            Handler::Wasi03(service) => {
                return service::serve(self.store, &service, &self.deadline, request, answer).await;
            }
        };
        let mut http = self.store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(GuestError::Request)?;
        let answer = http.new_response_outparam(answer).map_err(GuestError::Request)?;
        let handler = proxy.wasi_http_incoming_handler();
        self.deadline.run(handler.call_handle(&mut self.store, request, answer)).await.map_err(GuestError::of_call)?;
        if self.store.data_mut().holds_response_body() { Err(GuestError::Unfinished) } else { Ok(()) }
    }
}

/// Returns the span that adds the request's id to log lines. Enabled at every log level.
fn span(request: &str) -> Span {
    tracing::error_span!("guest", request)
}
