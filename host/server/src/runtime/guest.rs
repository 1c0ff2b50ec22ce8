//! The host's state for one guest, and the guest's capabilities: storage in one scope, clocks, random numbers, its settings,
//! its request, and two outputs. No environment, no files, no network.

use super::deadline::Deadline;
use super::exchange::ExchangeCtx;
use super::limiter::Limiter;
use super::output::GuestOutput;
use super::{Limits, limits};
use portico_host::{StorageCtx, StorageCtxView, StorageView};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// The data of a guest's `wasmtime::Store`.
pub(crate) struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    storage: StorageCtx,
    exchange: ExchangeCtx,
    config: Arc<WasiConfigVariables>,
    limiter: Limiter,
}

impl Guest {
    /// Creates a `wasmtime::Store` for one guest, with all limits set.
    pub(crate) fn store(
        engine: &Engine,
        storage: StorageCtx,
        exchange: ExchangeCtx,
        config: Arc<WasiConfigVariables>,
        limits: &Limits,
        request: &Arc<str>,
        moved: Arc<AtomicU64>,
    ) -> (Store<Guest>, Deadline) {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::FIELDS_BYTES);
        let wasi = WasiCtx::builder()
            .stdout(GuestOutput::new(request.clone(), "stdout"))
            .stderr(GuestOutput::new(request.clone(), "stderr"))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(limits::RANDOM_BYTES)
            .build();
        let limiter = Limiter::new(limits);
        let guest = Guest { table, wasi, http, hooks: Hooks, storage, exchange, config, limiter };
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(portico_host::limits::HOSTCALL_BYTES);
        store.set_max_component_handles(limits::HANDLES);
        #[cfg(feature = "p3")]
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(limits::RESOURCES);
        }
        let deadline = Deadline::new(&mut store, limits.cpu, moved);
        (store, deadline)
    }

    /// Returns the guest's settings.
    pub(crate) fn config(&mut self) -> WasiConfig<'_> {
        WasiConfig::from(&*self.config)
    }

    /// Returns what the guest may do with its exchange.
    pub(crate) fn exchange(&mut self) -> &mut ExchangeCtx {
        &mut self.exchange
    }

    /// Reports whether the guest has a response body that it neither finished nor dropped.
    pub(crate) fn holds_response_body(&mut self) -> bool {
        self.table.iter_mut().any(|entry| entry.is::<HostOutgoingBody>())
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl StorageView for Guest {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.table }
    }
}

/// Denies outgoing requests.
struct Hooks;

type Transmission = dyn Future<Output = Result<(), HttpError>> + Send;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<Transmission>,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Box<Transmission>), HttpError>> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(%error, "the request body failed");
        ErrorCode::ConnectionTerminated
    }
}
