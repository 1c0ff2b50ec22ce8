//! What monitoring is told, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Invariant: the values of labels come from closed sets. Nothing that a client or a guest chooses, such as a path or a
//! name, becomes one, so nobody can make the series grow.

use super::limits::Settings;
use crate::runtime::GuestError;
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

/// Upper bounds of the buckets of durations, in seconds: from an answer out of memory to an upload of an hour.
const DURATIONS: [f64; 12] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3_600.0];

/// What there may be no room for.
pub(super) const CONNECTION: &str = "connection";
/// See [`CONNECTION`].
pub(super) const REQUEST: &str = "request";

/// How guests fail.
const TRAP: &str = "trap";
const DEADLINE: &str = "deadline";
const INSTANTIATION: &str = "instantiation";
const UNFINISHED: &str = "unfinished";
const NO_ANSWER: &str = "no_answer";

/// An exchange, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    status: u16,
}

/// What an exchange is for, as its duration is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
}

/// What is refused for want of room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    what: &'static str,
}

/// How a guest failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    reason: &'static str,
}

/// What is done without a client.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// The portal's maintenance.
    Maintenance,
    /// The sweep of the store.
    Sweep,
}

/// A pass of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    task: &'static str,
    outcome: &'static str,
}

/// How often what is done without a client was done, and failed.
#[derive(Clone, Debug, Default)]
pub struct Passes(Family<Pass, Counter>);

impl Passes {
    /// Counts a pass that is over.
    pub fn count(&self, task: Task, done: bool) {
        self.of(task, done).inc();
    }

    /// Returns how many passes of a task succeeded.
    #[cfg(test)]
    pub(crate) fn counted(&self, task: Task) -> u64 {
        self.of(task, true).get()
    }

    fn of(&self, task: Task, done: bool) -> Counter {
        let task = match task {
            Task::Maintenance => "maintenance",
            Task::Sweep => "sweep",
        };
        self.0.get_or_create_owned(&Pass { task, outcome: if done { "done" } else { "failed" } })
    }
}

/// What a server counts, and how it stands.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    exchanges: Family<Answered, Counter>,
    durations: Family<Asked, Histogram>,
    /// Bytes of request bodies that were read.
    pub(super) received: Counter,
    /// Bytes of response bodies that went to connections.
    pub(super) sent: Counter,
    /// Responses that were cut off.
    pub(super) cut: Counter,
    /// Exchanges that go on.
    pub(super) running: Gauge,
    guests: Gauge,
    /// Connections that were accepted.
    pub(super) accepted: Counter,
    open: Gauge,
    refused: Family<Refused, Counter>,
    failed: Family<Failed, Counter>,
    pub(super) passes: Passes,
    /// Lines of the log that were lost.
    pub(super) lost_lines: Counter,
}

impl Metrics {
    pub(super) fn new(settings: &Settings, store: &StoreInfo) -> Metrics {
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
            passes: Passes::default(),
            lost_lines: Counter::default(),
        };
        metrics.register(settings, store);
        // An increase from nothing is none: what somebody wants to be woken for begins at 0.
        for what in [CONNECTION, REQUEST] {
            drop(metrics.refused.get_or_create(&Refused { what }));
        }
        for reason in [TRAP, DEADLINE, INSTANTIATION, UNFINISHED, NO_ANSWER] {
            drop(metrics.failed.get_or_create(&Failed { reason }));
        }
        for (task, done) in [Task::Maintenance, Task::Sweep].into_iter().flat_map(|task| [(task, true), (task, false)])
        {
            drop(metrics.passes.of(task, done));
        }
        metrics
    }

    fn register(&mut self, settings: &Settings, store: &StoreInfo) {
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64()));
        // Under the name that all processes have it.
        self.registry.register_with_unit("process_start_time", "When the process started", Unit::Seconds, start);

        let limit = |most: usize| {
            let gauge = Gauge::<i64>::default();
            gauge.set(gauged(most));
            gauge
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let store = Info::new([("backend", store.backend.to_owned()), ("bucket", store.bucket.clone())]);
        let own = self.registry.sub_registry_with_prefix("portico");
        own.register("build", "Which portico this is", build);
        own.register("store", "Where things are stored", store);

        let help = "Requests that were answered, by method and status; 0 if the client had gone before the answer";
        own.register("http_requests", help, self.exchanges.clone());
        let help = "From the head of a request to the end of its response";
        own.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        own.register_with_unit("http_received", "Content of requests", Unit::Bytes, self.received.clone());
        own.register_with_unit("http_sent", "Content of responses", Unit::Bytes, self.sent.clone());
        own.register("http_responses_cut", "Responses that were cut off in the middle", self.cut.clone());
        own.register("http_requests_running", "Requests whose response has not ended", self.running.clone());
        own.register("guests_running", "Guests that run for requests", self.guests.clone());
        own.register("guests_limit", "Most guests at once", limit(settings.max_requests));
        let help = "Guests that failed their request: by a trap, by too much processor time, and otherwise";
        own.register("guest_failures", help, self.failed.clone());
        own.register("connections_accepted", "Connections that were accepted", self.accepted.clone());
        own.register("connections_open", "Connections that are open", self.open.clone());
        own.register("connections_limit", "Most connections at once", limit(settings.max_connections));
        own.register("refused", "What was refused for want of room", self.refused.clone());
        let help = "Passes of the portal's maintenance and of the store's sweep";
        own.register("upkeep_passes", help, self.passes.0.clone());
        let help = "Lines of the log that could not be written, or not as fast as they came";
        own.register("log_lines_lost", help, self.lost_lines.clone());
    }

    /// Counts an exchange that is over. Without a status its client had gone before the answer.
    pub(super) fn exchanged(&self, method: &Method, status: Option<StatusCode>, took: Duration) {
        let method = name(method);
        // A guest may answer any number; one that has no name counts as the first of its class.
        let status = status.map_or(0, |status| match status.canonical_reason() {
            Some(_) => status.as_u16(),
            None => status.as_u16() / 100 * 100,
        });
        self.exchanges.get_or_create(&Answered { method, status }).inc();
        self.durations.get_or_create(&Asked { method }).observe(took.as_secs_f64());
    }

    /// Counts something that was refused for want of room.
    pub(super) fn refused(&self, what: &'static str) {
        self.refused.get_or_create(&Refused { what }).inc();
    }

    /// Counts a guest that failed its request. One whose client failed it, or found no room, has not.
    pub(super) fn failed(&self, error: &GuestError) {
        let reason = match error {
            GuestError::NoSlot(_) => return self.refused(REQUEST),
            GuestError::Request(_) | GuestError::Dropped => return,
            GuestError::Instantiate(_) => INSTANTIATION,
            GuestError::Deadline(_) => DEADLINE,
            GuestError::Trap(_) => TRAP,
            GuestError::Unfinished => UNFINISHED,
        };
        self.failed.get_or_create(&Failed { reason }).inc();
    }

    /// Counts a guest that returned without a response.
    pub(super) fn no_answer(&self) {
        self.failed.get_or_create(&Failed { reason: NO_ANSWER }).inc();
    }

    /// All of it, while so many guests run and so many connections are open.
    pub(super) fn text(&self, guests: usize, connections: usize) -> String {
        self.guests.set(gauged(guests));
        self.open.set(gauged(connections));
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn gauged(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The name of a method; those that nobody needs here are one.
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
