//! The metrics of background tasks.

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A background task of a server.
#[derive(Clone, Copy, Debug)]
pub enum UpkeepTask {
    /// The portal's maintenance.
    Maintenance,
    /// The sweep of the store.
    Sweep,
}

/// The labels of a run of a background task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    task: &'static str,
    outcome: &'static str,
}

/// What background tasks report. Clones share the values.
#[derive(Clone, Debug)]
pub struct UpkeepMetrics {
    passes: Family<PassLabels, Counter>,
    open_sessions: LateGauge,
    open_bytes: LateGauge,
}

impl Default for UpkeepMetrics {
    /// Creates the metrics. Each counter begins at 0, because Prometheus sees no increase when a series first appears.
    fn default() -> UpkeepMetrics {
        let metrics = UpkeepMetrics {
            passes: Family::default(),
            open_sessions: LateGauge::default(),
            open_bytes: LateGauge::default(),
        };
        for task in [UpkeepTask::Maintenance, UpkeepTask::Sweep] {
            drop(metrics.passes_of(task, true));
            drop(metrics.passes_of(task, false));
        }
        metrics
    }
}

impl UpkeepMetrics {
    /// Counts a run that has ended.
    pub fn count(&self, task: UpkeepTask, done: bool) {
        self.passes_of(task, done).inc();
    }

    /// Reports the open sessions that a whole round of maintenance found, and the bytes of their parts.
    pub fn saw_sessions(&self, open: u64, bytes: u64) {
        self.open_sessions.set(open);
        self.open_bytes.set(bytes);
    }

    /// Returns the number of successful runs of a task.
    #[cfg(test)]
    pub(crate) fn counted(&self, task: UpkeepTask) -> u64 {
        self.passes_of(task, true).get()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Runs of the portal's maintenance and of the store's sweep";
        registry.register("upkeep_passes", help, self.passes.clone());
        let help = "Open upload sessions with parts, as the last whole round of maintenance found them";
        registry.register("sessions_open", help, self.open_sessions.clone());
        let help = "Bytes of the parts of open upload sessions, as the last whole round of maintenance found them";
        registry.register_with_unit("sessions_open", help, Unit::Bytes, self.open_bytes.clone());
    }

    fn passes_of(&self, task: UpkeepTask, done: bool) -> Counter {
        let task = match task {
            UpkeepTask::Maintenance => "maintenance",
            UpkeepTask::Sweep => "sweep",
        };
        self.passes.get_or_create_owned(&PassLabels { task, outcome: if done { "done" } else { "failed" } })
    }
}

/// A gauge that is absent until its first value. A 0 would be wrong before the first round.
#[derive(Clone, Debug, Default)]
struct LateGauge {
    gauge: Gauge,
    known: Arc<AtomicBool>,
}

impl LateGauge {
    fn set(&self, value: u64) {
        self.gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.known.store(true, Ordering::Release);
    }
}

impl EncodeMetric for LateGauge {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.gauge.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        !self.known.load(Ordering::Acquire)
    }
}
