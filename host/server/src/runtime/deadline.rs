//! The deadline of a guest: a budget of processor time, not of wall time.
//!
//! Invariant: no guest runs for longer than a tick without a look at its budget, and no guest pays for time in which
//! it did not run. Every crossing between guest and host charges what has passed since the last crossing, or since
//! the guest's task was resumed if that came later. So a guest pays for its own instructions and for what host calls
//! do on its behalf before they return, and waiting is free. The engine's epoch makes a guest that crosses nowhere
//! cross once a tick, and yield there, so that it cannot keep a worker thread.
//!
//! The content of a response goes through the guest's hands piece by piece, so a guest earns time by what it moves:
//! its client has to take or give those bytes, which no spinning guest can do for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store};

/// How often the epoch advances.
pub const TICK: Duration = Duration::from_millis(10);

/// The most that one stretch between two crossings can cost. A guest cannot run for longer, so what lies above it
/// is time in which the machine ran something else.
const STRETCH_MAX: Duration = Duration::from_millis(50);

/// What a guest earns for each [`MOVED_UNIT`] bytes of its bodies: enough for 50 MiB a second of its own time.
const EARNED: Duration = Duration::from_millis(20);

/// See [`EARNED`].
const MOVED_UNIT: u64 = 1 << 20;

/// The trap of a guest whose budget is spent.
#[derive(Debug, thiserror::Error)]
#[error("the guest used up its {} ms of processor time", .budget.as_millis())]
pub struct DeadlineExceeded {
    /// The budget that it began with.
    pub budget: Duration,
}

/// Advances the epoch of an engine once a [`TICK`], for as long as the engine lives.
///
/// # Errors
/// Fails if no thread can be started.
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

/// When the task of a guest was last resumed, in nanoseconds after `start`.
struct Clock {
    start: Instant,
    resumed: AtomicU64,
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The clock of one guest. Whatever runs the guest must run within [`Deadline::run`].
pub(crate) struct Deadline {
    clock: Arc<Clock>,
}

impl Deadline {
    /// Gives everything that runs in `store` from now on a budget in sum, and what it earns by the bytes that
    /// `moved` counts. Its engine must have epoch interruption and a ticker.
    pub(crate) fn new<T: 'static>(store: &mut Store<T>, budget: Duration, moved: Arc<AtomicU64>) -> Deadline {
        let clock = Arc::new(Clock { start: Instant::now(), resumed: AtomicU64::new(0) });
        let of_hook = clock.clone();
        let mut account = Account { budget, moved, used: Duration::ZERO, last: 0 };
        store.call_hook(move |_, _| account.charge(of_hook.now(), of_hook.resumed.load(Ordering::Relaxed)));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Deadline { clock }
    }

    /// Runs a guest, and notes each time that it is resumed.
    pub(crate) async fn run<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = std::pin::pin!(guest);
        std::future::poll_fn(|cx| self.resume(guest.as_mut(), cx)).await
    }

    fn resume<F: Future>(&self, guest: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.clock.resumed.store(self.clock.now(), Ordering::Relaxed);
        guest.poll(cx)
    }
}

/// What a guest has used of its budget.
struct Account {
    budget: Duration,
    /// Bytes of its bodies that were moved.
    moved: Arc<AtomicU64>,
    used: Duration,
    /// The last crossing, in nanoseconds of the clock.
    last: u64,
}

impl Account {
    /// Charges a crossing that happens now.
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
