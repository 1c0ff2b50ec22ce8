//! What all connections of a server share.

use super::limits::Settings;
use super::metrics::Metrics;
use super::readiness::Readiness;
use crate::runtime::Runtime;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What all connections share.
pub(super) struct State {
    pub(super) runtime: Runtime,
    pub(super) readiness: Readiness,
    pub(super) settings: Settings,
    /// One permit for each connection that may be open.
    pub(super) connections: Arc<Semaphore>,
    /// One permit for each guest that may run.
    pub(super) requests: Arc<Semaphore>,
    /// The server accepts no connection any more, and connections end when they have answered.
    pub(super) stopping: CancellationToken,
    /// Connections end at once.
    pub(super) cutting: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

impl State {
    /// What monitoring is told now.
    pub(super) fn metrics(&self) -> String {
        let guests = self.settings.max_requests.saturating_sub(self.requests.available_permits());
        self.metrics.text(guests, self.open_connections())
    }

    /// Connections that are open now.
    pub(super) fn open_connections(&self) -> usize {
        self.settings.max_connections.saturating_sub(self.connections.available_permits())
    }
}
