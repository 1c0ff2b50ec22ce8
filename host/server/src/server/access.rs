//! One line of the log for each request, written when its exchange is over, and what is counted of it.

use super::cut::Cut;
use super::flow::Flow;
use super::peer::Ongoing;
use http::{Method, Request, StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Logs and counts its exchange when it is dropped: with the response body, or without any when the client has gone before.
pub(super) struct Access {
    request: Arc<str>,
    method: Method,
    uri: Uri,
    start: Instant,
    pub(super) flow: Arc<Flow>,
    status: Option<StatusCode>,
    sent: u64,
    cut: Option<Cut>,
    _ongoing: Ongoing,
}

impl Access {
    pub(super) fn new<B>(id: Arc<str>, request: &Request<B>, flow: Arc<Flow>, ongoing: Ongoing) -> Access {
        flow.metrics.running.inc();
        Access {
            request: id,
            method: request.method().clone(),
            uri: request.uri().clone(),
            start: Instant::now(),
            flow,
            status: None,
            sent: 0,
            cut: None,
            _ongoing: ongoing,
        }
    }

    /// The exchange has got its response.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Bytes of the response body went to the connection.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.flow.metrics.sent.inc_by(bytes as u64);
    }

    /// Whether the response is one that has no body whatever its fields say.
    pub(super) fn has_no_body(&self) -> bool {
        let status = |status: StatusCode| status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        self.method == Method::HEAD || self.status.is_some_and(status)
    }

    /// The response was cut off.
    pub(super) fn cut(&mut self, why: Cut) {
        self.cut = Some(why);
        self.flow.metrics.cut.inc();
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        self.flow.metrics.running.dec();
        self.flow.metrics.exchanged(&self.method, self.status, took);
        tracing::info!(
            target: "access",
            request = &*self.request,
            method = %self.method,
            path = self.uri.path(),
            status = self.status.map(|status| status.as_u16()),
            received = self.flow.received.load(Ordering::Relaxed),
            sent = self.sent,
            cut = self.cut.is_some(),
            why = self.cut.map(tracing::field::display),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
    }
}
