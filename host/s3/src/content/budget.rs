//! The memory that the uploads of a process share.
//!
//! One half is for whoever comes: it is taken as bytes arrive. An upload that gets nothing of it and has no piece on its
//! way passes its content straight on, if it knows its length; so it needs no memory and waits for nobody. One of unknown
//! length can't, because S3 wants to know the length of a request first: it waits for a whole piece's worth of the other
//! half, which it then fills and sends. Invariants: nobody who holds something of the second half waits for more of
//! anything but its client; and while somebody waits for it, clients that stand still lose it ([`STALL`]). So uploads can't
//! wait for each other in a circle, and stalled clients can't stop the rest.

use portico_store::watched::Watched;
use portico_store::{Error, Result};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may stand still while it holds what another one waits for. The more wait, the shorter: else whoever
/// comes last waits this long for every few of those before it that stand still too.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// Shortest such time, however many wait.
const STALL_MIN: Duration = Duration::from_millis(500);

/// Waiters for which the time is half of [`STALL`].
const STALL_HALVES_AT: u32 = 4;

/// How often somebody who waits looks for such clients.
const LOOK: Duration = Duration::from_millis(250);

/// What the client of an upload that lost its memory is told to wait, in seconds: others have it meanwhile.
const EVICTED_RETRY: u32 = 5;

/// Why an upload that lost its memory ends.
pub(crate) fn evicted() -> Error {
    let cause = "an upload stood still while others waited for the memory that it held (s3_memory)";
    Error::Unavailable { retry_after: Some(EVICTED_RETRY), cause: cause.into() }
}

/// Memory of all uploads.
pub(crate) struct Budget {
    arriving: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
    half: usize,
    holders: Mutex<Vec<Weak<Holder>>>,
    waiting: AtomicU32,
    epoch: Instant,
}

/// An upload that holds memory of the second half.
pub(crate) struct Holder {
    /// When its client sent something, in milliseconds since the budget's epoch.
    moved: AtomicU64,
    evicted: Watched<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let half = bytes / 2;
        Arc::new(Budget {
            arriving: Arc::new(Semaphore::new(half)),
            pieces: Arc::new(Semaphore::new(half)),
            half,
            holders: Mutex::default(),
            waiting: AtomicU32::new(0),
            epoch: Instant::now(),
        })
    }

    /// The largest piece that can be gathered, in bytes.
    pub(crate) fn piece_max(&self) -> u64 {
        self.half as u64
    }

    /// Memory for bytes that have arrived, if there is some.
    pub(crate) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.arriving.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// Whether so many bytes could arrive now.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.arriving.available_permits() as u64 >= bytes
    }

    /// Memory for what a piece still lacks.
    pub(crate) async fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Arc<Holder>> {
        let bytes = u32::try_from(bytes.min(self.piece_max())).map_err(Error::internal)?;
        let acquire = self.pieces.clone().acquire_many_owned(bytes);
        tokio::pin!(acquire);
        let waiting = Waiting::new(&self.waiting);
        let permit = loop {
            match tokio::time::timeout(LOOK, &mut acquire).await {
                Ok(permit) => break permit.map_err(Error::internal)?,
                Err(_) => self.evict(),
            }
        };
        drop(waiting);
        let holder =
            Arc::new(Holder { moved: AtomicU64::new(self.now()), evicted: Watched::new(false), _permit: permit });
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(Arc::downgrade(&holder));
        Ok(holder)
    }

    /// Says that the client of a holder has sent something.
    pub(crate) fn moved(&self, holder: &Holder) {
        holder.moved.store(self.now(), Ordering::Relaxed);
    }

    /// Says that a piece is complete, so that its upload no longer waits for its client.
    pub(crate) fn complete(holder: &Holder) {
        holder.moved.store(u64::MAX, Ordering::Relaxed);
    }

    fn evict(&self) {
        let now = self.now();
        let limit = (STALL * STALL_HALVES_AT / (STALL_HALVES_AT + self.others_waiting())).max(STALL_MIN);
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in holders.iter().filter_map(Weak::upgrade) {
            let still = now.saturating_sub(holder.moved.load(Ordering::Relaxed));
            if still >= limit.as_millis() as u64 {
                *holder.evicted.lock() = true;
                holder.evicted.notify();
            }
        }
    }

    /// Of those who wait, all but the one who looks.
    fn others_waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// Somebody who waits, counted.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Holder {
    /// Resolves when the upload has to end, because its client stands still and others wait.
    pub(crate) async fn evicted(&self) {
        self.evicted.until(|is_evicted| is_evicted.then_some(())).await;
    }

    pub(crate) fn is_evicted(&self) -> bool {
        *self.evicted.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_stands_still_loses_what_others_wait_for() {
        let budget = Budget::new(200);
        assert_eq!(budget.piece_max(), 100);
        let all = budget.take(100).unwrap();
        assert!(budget.take(1).is_none(), "the second half is not for bytes that arrive");
        drop(all);
        let holder = budget.reserve(80).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(80).await.map(drop) }
        });
        let began = Instant::now();
        holder.evicted().await;
        assert!(began.elapsed() >= STALL - LOOK, "not before its time");
        drop(holder);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn whoever_sends_or_is_being_sent_keeps_it() {
        let budget = Budget::new(200);
        let holder = budget.reserve(80).await.unwrap();
        budget.evict();
        assert!(!holder.is_evicted());
        Budget::complete(&holder);
        budget.evict();
        assert!(!holder.is_evicted());
    }
}
