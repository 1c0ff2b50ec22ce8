//! The access log: one line per request, written at the end of its exchange, and the counters.

use super::cut::Cut;
use super::flow::Flow;
use super::peer::Ongoing;
use http::{Method, Request, StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Logs and counts an exchange on drop: with the response body, or earlier if the client has gone.
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

    /// Notes the status of the response.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Counts bytes of the response body that went to the connection.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.flow.metrics.sent.inc_by(bytes as u64);
    }

    /// Reports whether the response has no body, whatever its headers say.
    pub(super) fn has_no_body(&self) -> bool {
        let status = |status: StatusCode| status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        self.method == Method::HEAD || self.status.is_some_and(status)
    }

    /// Notes that the response was cut off.
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
