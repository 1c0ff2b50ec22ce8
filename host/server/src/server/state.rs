//! The shared state of a server's connections.

use super::limits::Settings;
use super::metrics::Metrics;
use super::portals::Portals;
use super::readiness::Readiness;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The shared state of a server's connections.
pub(super) struct ServerState {
    pub(super) portals: Portals,
    pub(super) readiness: Readiness,
    pub(super) settings: Settings,
    /// A permit for each connection that may be open.
    pub(super) connections: Arc<Semaphore>,
    /// A permit for each guest that may run.
    pub(super) requests: Arc<Semaphore>,
    /// Cancelled at shutdown: no connection is accepted, and connections end after their current answers.
    pub(super) stopping: CancellationToken,
    /// Cancelled at the end of the grace period: connections end at once.
    pub(super) cutting: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

impl ServerState {
    /// Returns the current metrics as text.
    pub(super) fn metrics(&self) -> String {
        let guests = self.settings.max_requests.saturating_sub(self.requests.available_permits());
        self.metrics.text(guests, self.open_connections())
    }

    /// Returns the number of open connections.
    pub(super) fn open_connections(&self) -> usize {
        self.settings.max_connections.saturating_sub(self.connections.available_permits())
    }
}
