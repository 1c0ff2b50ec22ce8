//! Requests to the server and its answers, each once: nothing here is tried again.
//!
//! Invariant: every exchange ends when nothing has moved for a time that has a name here.

use crate::address::ServerUrl;
use crate::error::{Error, Problem, Unreadable, excerpt};
use crate::limits::{CHUNK, DOCUMENT_MAX, PROBLEM_MAX};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long the answer to a short question may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);

/// How long content may stand still. A proxy that gathers a part and then passes it on answers long after it was sent.
pub(crate) const STANDSTILL: Duration = Duration::from_secs(5 * 60);

/// Unused connections are closed before the server's patience with them ends.
const IDLE: Duration = Duration::from_secs(10);

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a request carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A server, and the connections to it.
pub struct Server {
    url: ServerUrl,
    authorization: Option<HeaderValue>,
    client: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

/// What moves shows it here.
#[derive(Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits as long as there is a beat within each `limit`; `None` if there was none.
    async fn keeps<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let before = self.0.load(Ordering::Relaxed);
            match tokio::time::timeout(limit, &mut work).await {
                Ok(done) => return Some(done),
                Err(_) if self.0.load(Ordering::Relaxed) == before => return None,
                Err(_) => {}
            }
        }
    }
}

/// No content.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Content that is at hand.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Server {
    pub(crate) fn new(
        url: ServerUrl,
        authorization: Option<HeaderValue>,
        connector: HttpsConnector<HttpConnector>,
    ) -> Server {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(CHUNK)
            .build(connector);
        Server { url, authorization, client }
    }

    /// A request for a path, which begins with a slash and is encoded.
    ///
    /// # Errors
    /// [`Error::Path`].
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<request::Builder, Error> {
        let request = Request::builder().method(method).uri(self.url.at(path)?);
        let request = request.header(USER_AGENT, concat!("portico/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        })
    }

    /// Sends a request, and gets the head of a successful answer.
    ///
    /// # Errors
    /// Whatever is no success, [`Error::Refused`] among it.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        limit: Option<Duration>,
        pulse: &Pulse,
    ) -> Result<Response<Incoming>, Error> {
        let sent = self.client.request(request);
        let answer = match limit {
            Some(limit) => pulse.keeps(limit, sent).await.ok_or_else(|| self.stood_still(limit))?,
            None => sent.await,
        };
        let response = answer.map_err(|cause| self.failure(cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        // The status is reported even if the document breaks off or is too long.
        let body = self.document(response, PROBLEM_MAX).await.unwrap_or_default();
        Err(Error::Refused(Box::new(Problem::read(status, seconds.map(Duration::from_secs), &body))))
    }

    /// Sends a request without content, and gets the document that answers it.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        let request = self.request(method, path)?.header(ACCEPT, "application/json").body(empty());
        self.exchange(request.expect("a request"), Some(ANSWER), &Pulse::default()).await
    }

    /// Sends a request, and gets the document that answers it.
    pub(crate) async fn exchange<T: DeserializeOwned>(
        &self,
        request: Request<Body>,
        limit: Option<Duration>,
        pulse: &Pulse,
    ) -> Result<T, Error> {
        let response = self.send(request, limit, pulse).await?;
        let body = self.document(response, DOCUMENT_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// Reads a document of at most `most` bytes. They are copied, because a piece keeps the buffer that it arrived in.
    async fn document(&self, response: Response<Incoming>, most: usize) -> Result<Vec<u8>, Error> {
        let gather = async {
            let (mut body, mut document) = (response.into_body(), Vec::new());
            while let Some(piece) = self.next(&mut body).await? {
                if piece.len() > most - document.len() {
                    return Err(self.unexpected(format!("a document of more than {most} bytes")));
                }
                document.extend_from_slice(&piece);
            }
            Ok(document)
        };
        tokio::time::timeout(ANSWER, gather).await.unwrap_or_else(|_| Err(self.stood_still(ANSWER)))
    }

    /// The next piece of an answer's content; `None` at its end.
    pub(crate) async fn next(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            match tokio::time::timeout(STANDSTILL, body.frame()).await {
                Err(_) => return Err(self.stood_still(STANDSTILL)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(cause))) => {
                    return Err(Error::Broken { server: self.url.to_string(), cause: cause.into() });
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// An answer that no portal gives. `what` may quote the server.
    pub(crate) fn unexpected(&self, what: impl AsRef<str>) -> Error {
        Error::Unexpected { server: self.url.to_string(), what: excerpt(what.as_ref()) }
    }

    /// An answer that ends before its content does.
    pub(crate) fn cut_short(&self) -> Error {
        Error::Broken { server: self.url.to_string(), cause: "the answer ended early".into() }
    }

    fn stood_still(&self, limit: Duration) -> Error {
        Error::StoodStill { server: self.url.to_string(), limit }
    }

    fn failure(&self, cause: legacy::Error) -> Error {
        let server = self.url.to_string();
        if let Some(Unreadable { path, cause }) = find(&cause) {
            return Error::Read { path: path.clone(), cause: cause.clone() };
        }
        let is_connect = cause.is_connect();
        match find::<rustls::Error>(&cause).cloned() {
            Some(tls) => Error::Untrusted { server, cause: tls.into() },
            None if is_connect => Error::Unreachable { server, cause: root(cause) },
            None => Error::Broken { server, cause: root(cause) },
        }
    }
}

/// An error of that type among the causes of an error.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The last of the causes, which is what a person can do something about; those above it are how a library got there.
fn root(error: legacy::Error) -> BoxError {
    let mut last: &dyn StdError = &error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().into()
}
