//! A reverse proxy of HTTP/1.1 between a client and a server that does a planned thing at the nth request.
//!
//! Heads pass unchanged, the `Host` too, because it is signed. Bodies pass as they come; only [`Fault::Delay`] gathers
//! that of its request, so that it can be passed on without the client.

mod body;
mod cut;
mod turns;

use crate::Server;
use crate::runtime::{self, Task};
use body::Passed;
use bytes::Bytes;
use cut::Cut;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, SERVER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use turns::Turns;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset; the server sees nothing.
    ResetBefore,
    /// The server answers, then the connection is reset; the client sees nothing.
    ResetAfter,
    /// The connection ends in the middle of the answer's body; as [`Fault::ResetAfter`] where there is none.
    CutHalf,
    /// The request is passed on after this time, even if the client has gone by then.
    Delay(Duration),
    /// 500 `InternalError`; the server sees nothing.
    Error500,
    /// 503 `SlowDown`; the server sees nothing.
    SlowDown503,
    /// The server answers, and the client is answered 500 `InternalError`.
    ErrorAfter500,
    /// An error of S3 of this status and code; the server sees nothing.
    Error(u16, &'static str),
    /// A page for people with this status, as proxies answer themselves: `HEAD` without a body, a redirect to another host.
    /// The server sees nothing.
    Page(u16),
    /// The server answers, and the client gets such a page.
    PageAfter(u16),
}

/// The proxy, which ends with all its connections when this is dropped.
pub struct FaultProxy {
    endpoint: String,
    shared: Arc<Shared>,
    _task: Task,
}

type Filter = Box<dyn Fn(&str) -> bool + Send>;

struct Shared {
    upstream: String,
    state: Mutex<State>,
    /// Requests that [`Fault::Delay`] holds or has passed on, and that are not answered yet.
    delayed: watch::Sender<usize>,
    turns: Option<Turns>,
}

#[derive(Default)]
struct State {
    seen: Vec<String>,
    only: Option<Filter>,
    counted: u64,
    plans: Vec<Plan>,
}

struct Plan {
    first: u64,
    last: u64,
    fault: Fault,
}

impl FaultProxy {
    /// Starts one before a server whose endpoint is `http:`.
    pub async fn start(server: &Server) -> FaultProxy {
        Self::before(server.endpoint(), None)
    }

    /// One that lets a server do what changes a key one after the other, for those whose conditional writes look and write in
    /// two steps.
    pub(crate) fn in_turns(endpoint: &str) -> FaultProxy {
        Self::before(endpoint, Some(Turns::default()))
    }

    fn before(endpoint: &str, turns: Option<Turns>) -> FaultProxy {
        let upstream = endpoint.strip_prefix("http://").expect("an endpoint without TLS").to_owned();
        let shared = Arc::new(Shared { upstream, state: Mutex::default(), delayed: watch::Sender::new(0), turns });
        let (endpoint, task) = {
            let shared = shared.clone();
            runtime::serve(move |listener| serve(listener, shared))
        };
        FaultProxy { endpoint, shared, _task: task }
    }

    /// The URL, to be used in place of the server's.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Counts only requests whose line of [`FaultProxy::seen`] passes, from now on.
    pub fn only(&self, filter: impl Fn(&str) -> bool + Send + 'static) {
        self.shared.state().only = Some(Box::new(filter));
    }

    /// Plans a fault for the `nth` request that is counted from now on; 1 is the next one.
    pub fn plan(&self, nth: u64, fault: Fault) {
        let mut state = self.shared.state();
        let nth = state.counted + nth;
        state.plans.push(Plan { first: nth, last: nth, fault });
    }

    /// Plans a fault for that request and all after it, until [`FaultProxy::clear`].
    pub fn plan_all(&self, from: u64, fault: Fault) {
        let mut state = self.shared.state();
        let first = state.counted + from;
        state.plans.push(Plan { first, last: u64::MAX, fault });
    }

    /// Forgets all plans and the filter.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.plans.clear();
        state.only = None;
    }

    /// Waits until the server has answered all requests that were delayed.
    pub async fn idle(&self) {
        let _ = self.shared.delayed.subscribe().wait_for(|delayed| *delayed == 0).await;
    }

    /// All requests since the start in their order, counted or not: `PUT /bucket/key?partNumber&uploadId`.
    pub fn seen(&self) -> Vec<String> {
        self.shared.state().seen.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Notes a request and says what is planned for it.
    fn note<B>(&self, request: &Request<B>) -> Option<Fault> {
        let names: Vec<_> = request.uri().query().unwrap_or_default().split('&').collect();
        let names: Vec<_> = names.iter().map(|pair| pair.split('=').next().unwrap_or_default()).collect();
        let names = names.join("&");
        let mark = if names.is_empty() { "" } else { "?" };
        let line = format!("{} {}{mark}{names}", request.method(), request.uri().path());
        let mut state = self.state();
        let counted = state.only.as_ref().is_none_or(|only| only(&line));
        state.seen.push(line);
        if !counted {
            return None;
        }
        state.counted += 1;
        let at = state.counted;
        state.plans.iter().find(|plan| (plan.first..=plan.last).contains(&at)).map(|plan| plan.fault)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (stream, reset) = Cut::new(stream);
        let shared = shared.clone();
        let answer = service_fn(move |request| {
            let (shared, reset) = (shared.clone(), reset.clone());
            async move {
                let planned = shared.note(&request);
                let _turn = match &shared.turns {
                    Some(turns) => turns.take(&request).await,
                    None => None,
                };
                let answered = respond(&shared, request, planned).await;
                if answered.is_err() {
                    reset.on_close();
                }
                answered
            }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

/// The answer to a request; an error closes the client's connection.
async fn respond(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    planned: Option<Fault>,
) -> io::Result<Response<Passed>> {
    let upstream = &shared.upstream;
    match planned {
        None => pass(upstream, request).await.map(|response| response.map(Passed::whole)),
        Some(Fault::ResetBefore) => Err(io::Error::other("reset before")),
        Some(Fault::ResetAfter) => {
            drain(&mut pass(upstream, request).await?).await;
            Err(io::Error::other("reset after"))
        }
        Some(Fault::CutHalf) => {
            let head = request.method() == Method::HEAD;
            let (parts, body) = pass(upstream, request).await?.into_parts();
            let body = if head { None } else { Passed::half(body).await };
            body.map(|body| Response::from_parts(parts, body)).ok_or_else(|| io::Error::other("cut an empty answer"))
        }
        Some(Fault::Delay(time)) => delayed(shared, request, time).await,
        Some(Fault::Error500) => {
            while request.frame().await.is_some() {}
            Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
        }
        Some(Fault::SlowDown503) => {
            while request.frame().await.is_some() {}
            Ok(error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"))
        }
        Some(Fault::Error(status, code)) => {
            while request.frame().await.is_some() {}
            Ok(error(StatusCode::from_u16(status).expect("a status"), code))
        }
        Some(Fault::Page(status)) => {
            let is_head = request.method() == Method::HEAD;
            while request.frame().await.is_some() {}
            Ok(page(status, is_head))
        }
        Some(Fault::PageAfter(status)) => {
            let is_head = request.method() == Method::HEAD;
            drain(&mut pass(upstream, request).await?).await;
            Ok(page(status, is_head))
        }
        Some(Fault::ErrorAfter500) => {
            drain(&mut pass(upstream, request).await?).await;
            Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
        }
    }
}

/// Passes a request on, on a connection of its own.
async fn pass<B>(upstream: &str, request: Request<B>) -> io::Result<Response<Incoming>>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(io::Error::other)
}

/// Passes a request on after a time, whether or not its client still waits.
async fn delayed(shared: &Arc<Shared>, request: Request<Incoming>, time: Duration) -> io::Result<Response<Passed>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(parts, Full::new(body));
    let shared = shared.clone();
    let (answer, answered) = tokio::sync::oneshot::channel();
    shared.delayed.send_modify(|delayed| *delayed += 1);
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        if let Err(Ok(mut response)) = answer.send(pass(&shared.upstream, request).await) {
            drain(&mut response).await;
        }
        shared.delayed.send_modify(|delayed| *delayed -= 1);
    });
    let answered = answered.await.map_err(io::Error::other)?;
    answered.map(|response| response.map(Passed::whole))
}

/// Reads an answer to its end, at which the request has been done.
async fn drain(response: &mut Response<Incoming>) {
    while response.frame().await.is_some_and(|frame| frame.is_ok()) {}
}

/// An error as S3 has them.
fn error(status: StatusCode, code: &str) -> Response<Passed> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>planned</Message></Error>"
    );
    let mut response = Response::new(Passed::text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// What a proxy answers itself, with nothing in it that S3 would say.
fn page(status: u16, is_head: bool) -> Response<Passed> {
    let text = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
    let mut response = Response::new(Passed::text(if is_head { String::new() } else { text }));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response.headers_mut().insert(SERVER, HeaderValue::from_static("between/1.0"));
    if (300..400).contains(&status) {
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("https://elsewhere.example/"));
    }
    response
}
