//! The metrics, in the OpenMetrics text format that Prometheus reads.
//!
//! Invariant: label values come from closed sets. A client or guest cannot choose one, such as a path or a name, so the number
//! of series is bounded.

use super::limits::Settings;
use super::portals::Portals;
use super::upkeep_metrics::UpkeepMetrics;
use crate::runtime::{GuestError, PortalLabel};
use http::{Method, StatusCode};
use portico_store::Info as StoreInfo;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

/// The media type of [`Metrics::text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the duration buckets, in seconds: from an answer out of memory to an upload of an hour.
const DURATIONS: [f64; 12] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3_600.0];

/// The label values of refusals.
pub(super) const CONNECTION: &str = "connection";
/// See [`CONNECTION`].
pub(super) const REQUEST: &str = "request";

/// The label values of guest failures.
const TRAP: &str = "trap";
const DEADLINE: &str = "deadline";
const INSTANTIATION: &str = "instantiation";
const UNFINISHED: &str = "unfinished";
const NO_ANSWER: &str = "no_answer";

/// The labels of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    method: &'static str,
    status: u16,
}

/// The label of a duration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// The label of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabel {
    what: &'static str,
}

/// The label of a guest's failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabel {
    reason: &'static str,
    #[prometheus(flatten)]
    portal: PortalLabel,
}

/// The counters and gauges of a server.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    exchanges: Family<ExchangeLabels, Counter>,
    durations: Family<MethodLabel, Histogram>,
    /// Bytes of request bodies that were read.
    pub(super) received: Counter,
    /// Bytes of response bodies that went to connections.
    pub(super) sent: Counter,
    /// Responses that were cut off.
    pub(super) cut: Counter,
    /// Exchanges in progress.
    pub(super) running: Gauge,
    guests: Gauge,
    /// Connections that were accepted.
    pub(super) accepted: Counter,
    open: Gauge,
    refused: Family<RefusedLabel, Counter>,
    failed: Family<FailureLabel, Counter>,
    /// What background tasks report.
    pub(super) upkeep: UpkeepMetrics,
    /// Lines of the log that were lost.
    pub(super) lost_lines: Counter,
}

impl Metrics {
    pub(super) fn new(settings: &Settings, store: &StoreInfo, portals: &Portals) -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            exchanges: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            received: Counter::default(),
            sent: Counter::default(),
            cut: Counter::default(),
            running: Gauge::default(),
            guests: Gauge::default(),
            accepted: Counter::default(),
            open: Gauge::default(),
            refused: Family::default(),
            failed: Family::default(),
            upkeep: UpkeepMetrics::new(portals.iter().map(|portal| portal.label().clone())),
            lost_lines: Counter::default(),
        };
        metrics.register(settings, store, portals);
        // Prometheus sees no increase when a series first appears, so series to alert on begin at 0.
        for what in [CONNECTION, REQUEST] {
            drop(metrics.refused.get_or_create(&RefusedLabel { what }));
        }
        for portal in portals.iter().map(|portal| portal.label().clone()) {
            for reason in [TRAP, DEADLINE, INSTANTIATION, UNFINISHED, NO_ANSWER] {
                drop(metrics.failed.get_or_create(&FailureLabel { reason, portal: portal.clone() }));
            }
        }
        metrics
    }

    fn register(&mut self, settings: &Settings, store: &StoreInfo, portals: &Portals) {
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64()));
        // The conventional name for all processes.
        self.registry.register_with_unit("process_start_time", "When the process started", Unit::Seconds, start);

        let limit = |most: usize| {
            let gauge = Gauge::<i64>::default();
            gauge.set(gauged(most));
            gauge
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let store = Info::new([("backend", store.backend.to_owned()), ("bucket", store.bucket.clone())]);
        let own = self.registry.sub_registry_with_prefix("portico");
        own.register("build", "Version of portico", build);
        own.register("store", "The store", store);

        let help = "Answered requests by method and status; status 0 if the client had gone before the answer";
        own.register("http_requests", help, self.exchanges.clone());
        let help = "Time from the head of a request to the end of its response";
        own.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        own.register_with_unit("http_received", "Received bytes of request bodies", Unit::Bytes, self.received.clone());
        own.register_with_unit("http_sent", "Sent bytes of response bodies", Unit::Bytes, self.sent.clone());
        own.register("http_responses_cut", "Responses that were cut off before their end", self.cut.clone());
        own.register("http_requests_running", "Requests in progress", self.running.clone());
        own.register("guests_running", "Guests that run for requests", self.guests.clone());
        own.register("guests_limit", "Most guests at once", limit(settings.max_requests));
        let help = "Guests that failed their request, by reason";
        own.register("guest_failures", help, self.failed.clone());
        own.register("connections_accepted", "Accepted connections", self.accepted.clone());
        own.register("connections_open", "Open connections", self.open.clone());
        own.register("connections_limit", "Most connections at once", limit(settings.max_connections));
        own.register("refused", "Connections and requests that were refused at a limit", self.refused.clone());
        if let Some(portal) = portals.iter().next() {
            // All portals count in the same metric.
            own.register("uploads", "Ended uploads by protocol and outcome", portal.runtime().uploads().metric());
        }
        self.upkeep.register(own);
        let help = "Log lines that were lost: writes failed, or were slower than the log";
        own.register("log_lines_lost", help, self.lost_lines.clone());
    }

    /// Counts an exchange that has ended. Without a status its client had gone before the answer.
    pub(super) fn exchanged(&self, method: &Method, status: Option<StatusCode>, took: Duration) {
        let method = name(method);
        // A guest may set any status. One without a name counts as the first of its class.
        let status = status.map_or(0, |status| match status.canonical_reason() {
            Some(_) => status.as_u16(),
            None => status.as_u16() / 100 * 100,
        });
        self.exchanges.get_or_create(&ExchangeLabels { method, status }).inc();
        self.durations.get_or_create(&MethodLabel { method }).observe(took.as_secs_f64());
    }

    /// Counts a connection or request that was refused at a limit.
    pub(super) fn refused(&self, what: &'static str) {
        self.refused.get_or_create(&RefusedLabel { what }).inc();
    }

    /// Counts a guest's failure. Failures of the client, and a lack of slots, are not the guest's.
    pub(super) fn failed(&self, error: &GuestError, portal: &PortalLabel) {
        let reason = match error {
            GuestError::NoSlot(_) => return self.refused(REQUEST),
            GuestError::Request(_) | GuestError::Dropped => return,
            GuestError::Instantiate(_) => INSTANTIATION,
            GuestError::Deadline(_) => DEADLINE,
            GuestError::Trap(_) => TRAP,
            GuestError::Unfinished => UNFINISHED,
        };
        self.failed.get_or_create(&FailureLabel { reason, portal: portal.clone() }).inc();
    }

    /// Counts a guest that returned without a response.
    pub(super) fn no_answer(&self, portal: &PortalLabel) {
        self.failed.get_or_create(&FailureLabel { reason: NO_ANSWER, portal: portal.clone() }).inc();
    }

    /// Returns the metrics as text, with the current numbers of guests and connections.
    pub(super) fn text(&self, guests: usize, connections: usize) -> String {
        self.guests.set(gauged(guests));
        self.open.set(gauged(connections));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn gauged(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the label of a method. Methods that the server does not use share one label.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
