//! What is done without a client: the portal's maintenance and the store's sweep, by the timer of a server or once for
//! `portico sweep`.
//!
//! Invariants: both may run beside requests, and in any number of processes; what fails is logged and tried again the next
//! time, and ends nothing else; when the timer has stopped, no guest of it runs any more.

use crate::runtime::{GuestError, MaintenanceError, Runtime};
use crate::server::{Passes, Task};
use portico_store::{Backend, SweepReport, chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a step of the maintenance is asked to take.
const STEP: Duration = Duration::from_secs(1);

/// How long a step may take. The portal looks at the clock between two pages of a listing, and its store may be slow.
const STEP_MAX: Duration = Duration::from_secs(10 * 60);

/// How long what is running may take to end when the timer is stopped.
const SETTLE: Duration = Duration::from_secs(5);

/// What the portal's maintenance did from its first step to its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Sessions that it ended because their time was over.
    pub expired: u64,
    /// Sessions that had ended, whose left parts it deleted.
    pub cleared: u64,
    /// Sessions and ids that it forgot.
    pub purged: u64,
}

/// Runs the portal's maintenance, step by step, to its end; `None` if the portal has none.
///
/// # Errors
/// [`MaintenanceError`]. What earlier steps did stays done.
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
        match progress.next {
            None => return Ok(Some(done)),
            // It would never end.
            next if next == after => return Err(MaintenanceError::Stuck),
            next => after = next,
        }
    }
}

/// The timer of a server.
pub struct Upkeep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Upkeep {
    /// Runs maintenance and sweep once in each `every`. The first time is a random moment within that, so that servers
    /// that start together do not work together. `passes` counts them. Dropping the value ends it too, a moment later.
    pub fn start(runtime: Runtime, store: Arc<dyn Backend>, every: Duration, passes: Passes) -> Upkeep {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(runtime, store, every, passes, stopped));
        Upkeep { stop, task }
    }

    /// Ends it. What is running has a few seconds to end by itself, and is dropped then, which is safe at any point.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the upkeep has failed");
        }
    }
}

async fn run(
    runtime: Runtime,
    store: Arc<dyn Backend>,
    every: Duration,
    passes: Passes,
    mut stopped: oneshot::Receiver<()>,
) {
    // Without randomness the first time comes at once, which is merely early.
    let share = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    let mut wait = every.mul_f64(share);
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = &mut stopped => return,
        }
        wait = every;
        let mut pass = std::pin::pin!(pass(&runtime, &*store, &passes));
        tokio::select! {
            () = &mut pass => {}
            _ = &mut stopped => {
                if tokio::time::timeout(SETTLE, pass).await.is_err() {
                    tracing::info!("the upkeep was not done when it was stopped; the next one goes on");
                }
                return;
            }
        }
    }
}

async fn pass(runtime: &Runtime, store: &dyn Backend, passes: &Passes) {
    let maintained = maintain(runtime).await;
    passes.count(Task::Maintenance, maintained.is_ok());
    match maintained {
        Ok(Some(Maintained { expired, cleared, purged })) => tracing::info!(expired, cleared, purged, "maintained"),
        Ok(None) => {}
        Err(error) => tracing::warn!(error = chain(&error), "the portal's maintenance failed; it is tried again"),
    }
    let swept = store.sweep().await;
    passes.count(Task::Sweep, swept.is_ok());
    match swept {
        Ok(SweepReport { removed, bytes, foreign }) => {
            tracing::info!(removed, bytes, foreign = foreign.len(), "swept");
            for name in foreign {
                tracing::debug!(name, "not a thing of this store; it is left alone");
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "the store could not be swept; it is tried again"),
    }
}

#[cfg(test)]
mod tests;
