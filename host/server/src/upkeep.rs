//! The background work of a server: the portal's maintenance and the store's sweep, on a timer or once for `portico sweep`.
//!
//! Invariants: both may run beside requests, and in any number of processes; a failure is logged, retried the next time, and
//! ends nothing else; after the timer has stopped, none of its guests runs.

use crate::runtime::{GuestError, MaintenanceError, PortalLabel, Runtime};
use crate::server::{Portals, UpkeepMetrics, UpkeepTask};
use portico_store::{Backend, SweepReport, chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Time budget that a maintenance step receives.
const STEP: Duration = Duration::from_secs(1);

/// Time limit of a step. The portal checks its budget between two pages of a listing, and its store may be slow.
const STEP_MAX: Duration = Duration::from_secs(10 * 60);

/// Longest wait for a running round when the timer is stopped.
const SETTLE: Duration = Duration::from_secs(5);

/// The total results of a maintenance round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Sessions that expired.
    pub expired: u64,
    /// Ended sessions whose remaining parts were deleted.
    pub cleared: u64,
    /// Ended sessions and deleted ids that were forgotten.
    pub purged: u64,
    /// Open sessions that have parts.
    pub open_sessions: u64,
    /// Bytes of the parts of open sessions.
    pub open_bytes: u64,
}

/// Runs a maintenance round, step by step. Returns `None` if the portal has no maintenance.
///
/// # Errors
/// [`MaintenanceError`]. The results of earlier steps persist.
pub async fn maintain(runtime: &Runtime) -> Result<Option<Maintained>, MaintenanceError> {
    let id: Arc<str> = format!("maintenance-{:016x}", getrandom::u64().unwrap_or_default()).into();
    let mut done = Maintained::default();
    let mut after: Option<String> = None;
    loop {
        let step = tokio::time::timeout(STEP_MAX, runtime.maintain(&id, STEP, after.as_deref()));
        let Some(progress) = step.await.unwrap_or(Err(GuestError::Dropped.into()))? else { return Ok(None) };
        done.expired += u64::from(progress.expired);
        done.cleared += u64::from(progress.cleared);
        done.purged += u64::from(progress.purged);
        done.open_sessions += u64::from(progress.open_sessions);
        // The numbers are a guest's.
        done.open_bytes = done.open_bytes.saturating_add(progress.open_bytes);
        match progress.next {
            None => return Ok(Some(done)),
            // The round would never end.
            next if next == after => return Err(MaintenanceError::Stuck),
            next => after = next,
        }
    }
}

/// Adds the results of two portals. Returns the first error.
///
/// # Errors
/// [`MaintenanceError`].
pub fn sum(
    one: Result<Option<Maintained>, MaintenanceError>,
    other: Result<Option<Maintained>, MaintenanceError>,
) -> Result<Option<Maintained>, MaintenanceError> {
    match (one?, other?) {
        (Some(one), Some(other)) => Ok(Some(Maintained {
            expired: one.expired + other.expired,
            cleared: one.cleared + other.cleared,
            purged: one.purged + other.purged,
            open_sessions: one.open_sessions + other.open_sessions,
            open_bytes: one.open_bytes.saturating_add(other.open_bytes),
        })),
        (one, other) => Ok(one.or(other)),
    }
}

/// The timer of a server's background work.
pub struct Upkeep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Upkeep {
    /// Starts the timer, which runs the maintenance of each portal and one sweep once in `every`. The first run is at a
    /// random time, so that servers that start together do not work together. `metrics` gets the results. Dropping the
    /// value stops the timer a moment later.
    pub fn start(portals: Portals, store: Arc<dyn Backend>, every: Duration, metrics: UpkeepMetrics) -> Upkeep {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(portals, store, every, metrics, stopped));
        Upkeep { stop, task }
    }

    /// Stops the timer. A running round gets a few seconds to finish, and is then dropped, which is safe at any point.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the background work panicked");
        }
    }
}

async fn run(
    portals: Portals,
    store: Arc<dyn Backend>,
    every: Duration,
    metrics: UpkeepMetrics,
    mut stopped: oneshot::Receiver<()>,
) {
    // Without randomness the first round begins at once, which is merely early.
    let share = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    let mut wait = every.mul_f64(share);
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = &mut stopped => return,
        }
        wait = every;
        let mut pass = std::pin::pin!(pass(&portals, &*store, &metrics));
        tokio::select! {
            () = &mut pass => {}
            _ = &mut stopped => {
                if tokio::time::timeout(SETTLE, pass).await.is_err() {
                    tracing::info!("the background work was stopped before its end; the next round continues");
                }
                return;
            }
        }
    }
}

async fn pass(portals: &Portals, store: &dyn Backend, metrics: &UpkeepMetrics) {
    for portal in portals.iter() {
        pass_of_portal(&portal.runtime(), portal.label(), metrics).await;
    }
    let swept = store.sweep().await;
    metrics.count(UpkeepTask::Sweep, &PortalLabel::default(), swept.is_ok());
    match swept {
        Ok(SweepReport { removed, bytes, foreign }) => {
            tracing::info!(removed, bytes, foreign = foreign.len(), "swept");
            for name in foreign {
                tracing::debug!(name, "not part of this store; left alone");
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "the sweep of the store failed; it will be retried"),
    }
}

async fn pass_of_portal(runtime: &Runtime, label: &PortalLabel, metrics: &UpkeepMetrics) {
    let maintained = maintain(runtime).await;
    metrics.count(UpkeepTask::Maintenance, label, maintained.is_ok());
    let portal = label.name();
    match maintained {
        Ok(Some(Maintained { expired, cleared, purged, open_sessions, open_bytes })) => {
            metrics.saw_sessions(label, open_sessions, open_bytes);
            tracing::info!(portal, expired, cleared, purged, open_sessions, open_bytes, "maintained");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(portal, error = chain(&error), "the portal's maintenance failed; it will be retried")
        }
    }
}

#[cfg(test)]
mod tests;
