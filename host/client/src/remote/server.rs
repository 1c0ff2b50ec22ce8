//! Single requests to the server, and their answers. Nothing here retries.
//!
//! Invariant: each exchange ends when no byte has moved for a time that a constant here names.

use crate::address::ServerUrl;
use crate::error::{BoxError, Error, Problem, Unreadable, excerpt};
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

/// Longest wait for the answer to a short request.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Longest time without progress of content. A proxy that buffers a whole part answers long after the last byte was sent.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Idle time after which a connection is closed, before the server closes it.
const IDLE: Duration = Duration::from_secs(10);

/// The body of a request.
pub(crate) type OutgoingBody = UnsyncBoxBody<Bytes, BoxError>;

/// A server, and a pool of connections to it.
pub(crate) struct RemoteServer {
    url: ServerUrl,
    authorization: Option<HeaderValue>,
    client: legacy::Client<HttpsConnector<HttpConnector>, OutgoingBody>,
}

/// Counts the progress of an exchange, to distinguish a stalled one from a slow one.
#[derive(Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs `work`. Returns `None` if no beat comes within `limit`.
    async fn while_moving<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
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

/// Returns an empty body.
pub(crate) fn empty() -> OutgoingBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body of bytes in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> OutgoingBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl RemoteServer {
    pub(crate) fn new(
        url: ServerUrl,
        authorization: Option<HeaderValue>,
        connector: HttpsConnector<HttpConnector>,
    ) -> RemoteServer {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(CHUNK)
            .build(connector);
        RemoteServer { url, authorization, client }
    }

    /// Builds a request. The path begins with a slash and is percent-encoded.
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

    /// Sends a request, and returns the head of a successful answer.
    ///
    /// # Errors
    /// Any failure, among them [`Error::Refused`] for an unsuccessful answer.
    pub(crate) async fn send(
        &self,
        request: Request<OutgoingBody>,
        limit: Option<Duration>,
        pulse: &Pulse,
    ) -> Result<Response<Incoming>, Error> {
        let sent = self.client.request(request);
        let answer = match limit {
            Some(limit) => pulse.while_moving(limit, sent).await.ok_or_else(|| self.stalled(limit))?,
            None => sent.await,
        };
        let response = answer.map_err(|cause| self.failure(cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        // The status is reported even if the document is cut short or too long.
        let body = self.document(response, PROBLEM_MAX).await.unwrap_or_default();
        Err(Error::Refused(Box::new(Problem::read(status, seconds.map(Duration::from_secs), &body))))
    }

    /// Sends a request without a body, and parses the answer.
    pub(crate) async fn request_document<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        let request = self.request(method, path)?.header(ACCEPT, "application/json").body(empty());
        self.exchange(request.expect("a request"), Some(ANSWER_LIMIT), &Pulse::default()).await
    }

    /// Sends a request, and parses the answer.
    pub(crate) async fn exchange<T: DeserializeOwned>(
        &self,
        request: Request<OutgoingBody>,
        limit: Option<Duration>,
        pulse: &Pulse,
    ) -> Result<T, Error> {
        let response = self.send(request, limit, pulse).await?;
        let body = self.document(response, DOCUMENT_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// Reads a document of at most `most` bytes. Copies the pieces, because a piece keeps its whole receive buffer alive.
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
        tokio::time::timeout(ANSWER_LIMIT, gather).await.unwrap_or_else(|_| Err(self.stalled(ANSWER_LIMIT)))
    }

    /// Returns the next piece of an answer's body; `None` at its end.
    pub(crate) async fn next(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            match tokio::time::timeout(STALL_LIMIT, body.frame()).await {
                Err(_) => return Err(self.stalled(STALL_LIMIT)),
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

    /// Returns the error for an answer that no portal gives. `what` may quote the server.
    pub(crate) fn unexpected(&self, what: impl AsRef<str>) -> Error {
        Error::Unexpected { server: self.url.to_string(), what: excerpt(what.as_ref()) }
    }

    /// Returns the error for an answer that ends before its content does.
    pub(crate) fn cut_short(&self) -> Error {
        Error::Broken { server: self.url.to_string(), cause: "the answer ended early".into() }
    }

    fn stalled(&self, limit: Duration) -> Error {
        Error::Stalled { server: self.url.to_string(), limit }
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

/// Finds an error of type `E` in a chain of causes.
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

/// Returns the last cause, which tells a person what to do. The errors above it only show a library's call path.
fn root(error: legacy::Error) -> BoxError {
    let mut last: &dyn StdError = &error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().into()
}
