//! The metrics of background tasks.

use crate::runtime::PortalLabel;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    #[prometheus(flatten)]
    portal: PortalLabel,
}

/// What background tasks report. Clones share the values.
#[derive(Clone, Debug)]
pub struct UpkeepMetrics {
    passes: Family<PassLabels, Counter>,
    open_sessions: LateGauge,
    open_bytes: LateGauge,
    /// Open sessions and their bytes by portal. The gauges are their sums.
    seen: Arc<Mutex<HashMap<PortalLabel, (u64, u64)>>>,
}

impl Default for UpkeepMetrics {
    fn default() -> UpkeepMetrics {
        UpkeepMetrics::new([PortalLabel::default()])
    }
}

impl UpkeepMetrics {
    /// Creates the metrics. Each counter begins at 0, because Prometheus sees no increase when a series first appears.
    pub fn new(portals: impl IntoIterator<Item = PortalLabel>) -> UpkeepMetrics {
        let metrics = UpkeepMetrics {
            passes: Family::default(),
            open_sessions: LateGauge::default(),
            open_bytes: LateGauge::default(),
            seen: Arc::default(),
        };
        let maintained = portals.into_iter().map(|portal| (UpkeepTask::Maintenance, portal));
        for (task, portal) in maintained.chain([(UpkeepTask::Sweep, PortalLabel::default())]) {
            drop(metrics.passes_of(task, &portal, true));
            drop(metrics.passes_of(task, &portal, false));
        }
        metrics
    }

    /// Counts a run that has ended. A sweep is of no portal.
    pub fn count(&self, task: UpkeepTask, portal: &PortalLabel, done: bool) {
        self.passes_of(task, portal, done).inc();
    }

    /// Reports the open sessions that a whole round of a portal's maintenance found, and the bytes of their parts.
    pub fn saw_sessions(&self, portal: &PortalLabel, open: u64, bytes: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(portal.clone(), (open, bytes));
        self.open_sessions.set(seen.values().fold(0, |sum, (open, _)| sum.saturating_add(*open)));
        self.open_bytes.set(seen.values().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes)));
    }

    /// Returns the number of successful runs of a task.
    #[cfg(test)]
    pub(crate) fn counted(&self, task: UpkeepTask) -> u64 {
        self.passes_of(task, &PortalLabel::default(), true).get()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Runs of the portal's maintenance and of the store's sweep";
        registry.register("upkeep_passes", help, self.passes.clone());
        let help = "Open upload sessions with parts, as the last whole round of maintenance found them";
        registry.register("sessions_open", help, self.open_sessions.clone());
        let help = "Bytes of the parts of open upload sessions, as the last whole round of maintenance found them";
        registry.register_with_unit("sessions_open", help, Unit::Bytes, self.open_bytes.clone());
    }

    fn passes_of(&self, task: UpkeepTask, portal: &PortalLabel, done: bool) -> Counter {
        let task = match task {
            UpkeepTask::Maintenance => "maintenance",
            UpkeepTask::Sweep => "sweep",
        };
        let outcome = if done { "done" } else { "failed" };
        self.passes.get_or_create_owned(&PassLabels { task, outcome, portal: portal.clone() })
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
