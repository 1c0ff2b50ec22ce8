//! A host of one's own that serves a portal over HTTP to several tenants of one store.
//!
//! Each tenant has a token, a scope of the store, a quota and counters. Each request gets a fresh guest.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, header::AUTHORIZATION, service::service_fn};
use hyper_util::rt::TokioIo;
use portico_host::{StorageCtx, StorageCtxView, StorageView, add_to_linker, limits};
use portico_store::guard::{Outcome, Quota, Usage};
use portico_store::{Backend, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tracing::Instrument as _;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::p2::{bindings::ProxyPre, bindings::http::types::Scheme, body::HyperOutgoingBody};
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// Instructions that one guest may execute. The bytes of a body cost none: they never enter the guest.
const FUEL: u64 = 2_000_000_000;

struct Tenant {
    scope: Scope,
    quota: Quota,
    /// Operations, failures, and bytes of content.
    counters: Arc<[AtomicU64; 3]>,
}

/// A portal for several tenants.
pub struct Server {
    portal: ProxyPre<Guest>,
    backend: Arc<dyn Backend>,
    tenants: BTreeMap<String, Tenant>,
}

impl Server {
    /// Compiles and links a portal for tenants, each with a name that is its token and its scope, and a quota.
    ///
    /// # Errors
    /// If the portal does not fit, a name is no name of a scope, or the store does not say what a tenant has.
    pub async fn new(
        portal: &[u8],
        backend: Arc<dyn Backend>,
        tenants: impl IntoIterator<Item = (String, Usage)>,
    ) -> wasmtime::Result<Server> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::<Guest>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        wasmtime_wasi_config::add_to_linker(&mut linker, |guest| WasiConfig::from(&guest.config))?;
        add_to_linker(&mut linker)?;
        // The portal of Portico also has these two, and works without their effect.
        let mut exchange = linker.instance("portico:storage/exchange@0.2.0")?;
        exchange.func_wrap("send-interim", |_, _: (u16, Vec<(String, String)>)| Ok((false,)))?;
        exchange.func_new("count-upload", |_, _, _, _| Ok(()))?;
        let portal = ProxyPre::new(linker.instantiate_pre(&Component::new(&engine, portal)?)?)?;

        let mut known = BTreeMap::new();
        for (name, max) in tenants {
            let scope = Scope::root().narrow(&name)?;
            let quota = Quota::new(max);
            quota.set_used(Usage::of(&*backend, &scope).await?);
            known.insert(name, Tenant { scope, quota, counters: Arc::default() });
        }
        Ok(Server { portal, backend, tenants: known })
    }

    /// Serves HTTP/1.1 until the listener fails.
    ///
    /// # Errors
    /// If no further connection can be accepted.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (socket, _) = listener.accept().await?;
            let server = self.clone();
            let answer = move |request| {
                let server = server.clone();
                async move { server.answer(request).await }
            };
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(socket), service_fn(answer)));
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> wasmtime::Result<Response<HyperOutgoingBody>> {
        if request.uri().path() == "/metrics" {
            return Ok(text(StatusCode::OK, self.metrics()));
        }
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some((name, tenant)) = token.and_then(|token| self.tenants.get_key_value(token)) else {
            return Ok(text(StatusCode::UNAUTHORIZED, "who are you?\n".to_owned()));
        };
        let counters = tenant.counters.clone();
        let storage = StorageCtx::builder(self.backend.clone(), tenant.scope.clone())
            .quota(tenant.quota.clone())
            .observer(move |event| {
                let failed = matches!(event.outcome, Outcome::Failed(_));
                for (counter, more) in counters.iter().zip([1, u64::from(failed), event.bytes]) {
                    counter.fetch_add(more, Ordering::Relaxed);
                }
            })
            .spans()
            .build();

        let mut store = Store::new(self.portal.engine(), Guest::new(storage));
        store.limiter(|guest| &mut guest.limits);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
        store.set_fuel(FUEL)?;
        store.fuel_async_yield_interval(Some(1_000_000))?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let answer = store.data_mut().http().new_response_outparam(answer)?;
        let portal = self.portal.clone();
        // The guest goes on after the head of its answer. Whatever it causes carries the name of its tenant.
        let call = async move {
            let guest = portal.instantiate_async(&mut store).await?;
            guest.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await
        };
        let guest = tokio::spawn(call.instrument(tracing::info_span!("request", tenant = name)));
        match answered.await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let ended = guest.await?.map_or_else(|trap| format!("{trap:#}"), |()| "no answer".to_owned());
                tracing::error!(tenant = name, ended, "a guest failed");
                Ok(text(StatusCode::INTERNAL_SERVER_ERROR, "the portal failed\n".to_owned()))
            }
        }
    }

    fn metrics(&self) -> String {
        let mut lines = String::new();
        for (name, Tenant { quota, counters, .. }) in &self.tenants {
            let Usage { bytes, objects } = quota.used();
            let [operations, failures, content] = counters.each_ref().map(|counter| counter.load(Ordering::Relaxed));
            for (metric, value) in [
                ("stored_bytes", bytes),
                ("stored_objects", objects),
                ("operations_total", operations),
                ("failures_total", failures),
                ("content_bytes_total", content),
            ] {
                lines += &format!("tenant_{metric}{{tenant=\"{name}\"}} {value}\n");
            }
        }
        lines
    }
}

fn text(status: StatusCode, text: String) -> Response<HyperOutgoingBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// What this host keeps for each guest. All capabilities share the table.
struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    config: WasiConfigVariables,
    storage: StorageCtx,
    limits: StoreLimits,
    hooks: NoRequests,
}

impl Guest {
    fn new(storage: StorageCtx) -> Self {
        let limits = StoreLimitsBuilder::new().memory_size(32 << 20).build();
        let (table, wasi, http) = (ResourceTable::new(), WasiCtx::default(), WasiHttpCtx::new());
        Guest { table, wasi, http, config: WasiConfigVariables::new(), storage, limits, hooks: NoRequests }
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

/// Denies a guest's own requests.
struct NoRequests;

type Transmission = dyn Future<Output = Result<(), HttpError>> + Send;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<Transmission>,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Box<Transmission>), HttpError>> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}
