//! A guest's deadline: a budget of processor time, not of wall time.
//!
//! Invariant: a guest's budget is checked at least once a tick, and a guest pays only for time in which it runs. Each crossing
//! between guest and host charges the time since the last crossing, or since the guest's task was resumed if that came later.
//! So a guest pays for its own instructions and for host calls until they return, and waiting is free. The engine's epoch
//! forces a crossing and a yield once a tick, so that a computing guest cannot keep a worker thread.
//!
//! Content passes through the guest piece by piece, so a guest earns time for the bytes that it moves. Its client must send or
//! take those bytes, so a spinning guest cannot earn time alone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store};

/// Interval of the epoch.
pub const TICK: Duration = Duration::from_millis(10);

/// Largest cost of one stretch between two crossings. A guest cannot run longer, so in any further time the machine ran
/// something else.
const STRETCH_MAX: Duration = Duration::from_millis(50);

/// The time that a guest earns for each [`MOVED_UNIT`] bytes of its bodies. Enough for 50 MiB per second of its own time.
const EARNED: Duration = Duration::from_millis(20);

/// See [`EARNED`].
const MOVED_UNIT: u64 = 1 << 20;

/// The trap of a guest that has spent its budget.
#[derive(Debug, thiserror::Error)]
#[error("the guest used up its {} ms of processor time", .budget.as_millis())]
pub struct DeadlineExceeded {
    /// The initial budget.
    pub budget: Duration,
}

/// Advances the epoch of an engine once a [`TICK`], until the engine is dropped.
///
/// # Errors
/// The system's, if it cannot start a thread.
pub(crate) fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("portico-epoch".into()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })?;
    Ok(())
}

/// When a guest's task was last resumed, in nanoseconds after `start`.
struct Clock {
    start: Instant,
    resumed: AtomicU64,
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The clock of one guest. All calls of the guest must run within [`Deadline::run`].
pub(crate) struct Deadline {
    clock: Arc<Clock>,
}

impl Deadline {
    /// Sets a total budget for all calls in `store`. The bytes that `moved` counts add to the budget. The engine must
    /// have epoch interruption and a ticker.
    pub(crate) fn new<T: 'static>(store: &mut Store<T>, budget: Duration, moved: Arc<AtomicU64>) -> Deadline {
        let clock = Arc::new(Clock { start: Instant::now(), resumed: AtomicU64::new(0) });
        let of_hook = clock.clone();
        let mut account = Account { budget, moved, used: Duration::ZERO, last: 0 };
        store.call_hook(move |_, _| account.charge(of_hook.now(), of_hook.resumed.load(Ordering::Relaxed)));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Deadline { clock }
    }

    /// Runs a call of the guest, and notes each time that it is resumed.
    pub(crate) async fn run<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = std::pin::pin!(guest);
        std::future::poll_fn(|cx| self.resume(guest.as_mut(), cx)).await
    }

    fn resume<F: Future>(&self, guest: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.clock.resumed.store(self.clock.now(), Ordering::Relaxed);
        guest.poll(cx)
    }
}

/// A guest's budget, and the time used.
struct Account {
    budget: Duration,
    /// Bytes of the guest's bodies that were moved.
    moved: Arc<AtomicU64>,
    used: Duration,
    /// The time of the last crossing, in nanoseconds of the clock.
    last: u64,
}

impl Account {
    /// Charges the stretch that ends with a crossing at `now`.
    fn charge(&mut self, now: u64, resumed: u64) -> wasmtime::Result<()> {
        let stretch = Duration::from_nanos(now.saturating_sub(self.last.max(resumed)));
        self.used += stretch.min(STRETCH_MAX);
        self.last = now;
        if self.used <= self.budget || self.used <= self.budget + self.earned() {
            return Ok(());
        }
        Err(DeadlineExceeded { budget: self.budget }.into())
    }

    fn earned(&self) -> Duration {
        let units = self.moved.load(Ordering::Relaxed) / MOVED_UNIT;
        EARNED.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
