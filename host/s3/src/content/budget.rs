//! Bounds the memory of all uploads of a process.
//!
//! The budget has two halves. *Arriving* memory is taken frame by frame and never waited for, so small content costs
//! only its own bytes. When no arriving memory is left and none of the upload's pieces is in flight, content of known
//! length is passed straight on: it needs no memory. Content of unknown length cannot be, because S3 wants the length
//! of a request first. It waits for *piece* memory, enough to complete its piece.
//!
//! Invariants: an upload that holds piece memory waits for nothing except its client; while another upload waits for
//! piece memory, a holder whose client stalls is evicted ([`crate::limits::STALL`]). So uploads cannot deadlock, and stalled clients
//! cannot stop the others.
//!
//! A single budget from which each piece is acquired whole fails here: as many stalled clients as it holds pieces stop
//! all content of unknown length, and a slow client of a few bytes occupies a whole piece.

use crate::limits;
use portico_store::watched::Watched;
use portico_store::{Error, Result};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Interval at which a waiter looks for stalled holders.
const LOOK: Duration = Duration::from_millis(250);

/// `Retry-After` of an evicted upload, in seconds: meanwhile others use its memory.
const EVICTED_RETRY: u32 = 5;

/// Returns the error of an evicted upload.
pub(crate) fn evicted() -> Error {
    let cause = "the client stalled while other uploads waited for memory (s3_memory)";
    Error::Unavailable { retry_after: Some(EVICTED_RETRY), cause: cause.into() }
}

/// The memory budget of all uploads.
pub(crate) struct Budget {
    arriving: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
    half: usize,
    holders: Mutex<Vec<Weak<Holder>>>,
    waiting: AtomicU32,
    epoch: Instant,
}

/// Piece memory that one upload holds.
pub(crate) struct Holder {
    /// Time of the latest bytes of the client, in milliseconds since the budget's epoch.
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

    /// Returns the largest piece that fits in memory, in bytes.
    pub(crate) fn piece_max(&self) -> u64 {
        self.half as u64
    }

    /// Takes memory for bytes that have arrived, if enough is free.
    pub(crate) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.arriving.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// Returns whether `bytes` of arriving memory are free.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.arriving.available_permits() as u64 >= bytes
    }

    /// Waits for the memory that completes a piece.
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

    /// Records that the client of a holder has sent bytes.
    pub(crate) fn moved(&self, holder: &Holder) {
        // A piece that is complete stays so.
        holder.moved.fetch_max(self.now(), Ordering::Relaxed);
    }

    /// Records that a piece is complete, so that its upload no longer waits for its client. Ends an eviction: the upload
    /// is about to release its memory.
    pub(crate) fn complete(holder: &Holder) {
        // Under the lock, so that an eviction of a stall before this call can't follow it.
        let mut is_evicted = holder.evicted.lock();
        holder.moved.store(u64::MAX, Ordering::Relaxed);
        *is_evicted = false;
    }

    fn evict(&self) {
        let now = self.now();
        let limit = (limits::STALL * limits::STALL_HALVES_AT / (limits::STALL_HALVES_AT + self.others_waiting()))
            .max(limits::STALL_MIN);
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in holders.iter().filter_map(Weak::upgrade) {
            let mut is_evicted = holder.evicted.lock();
            let still = now.saturating_sub(holder.moved.load(Ordering::Relaxed));
            if still >= limit.as_millis() as u64 {
                *is_evicted = true;
                drop(is_evicted);
                holder.evicted.notify();
            }
        }
    }

    /// Returns the number of waiters except the caller.
    fn others_waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// Counts a waiter while the value exists.
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
    /// Resolves when the upload has to end because its client stalls and others wait.
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
    async fn a_stalled_client_loses_memory_that_others_wait_for() {
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
        assert!(began.elapsed() >= limits::STALL - LOOK, "not before its time");
        drop(holder);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_active_upload_keeps_its_memory() {
        let budget = Budget::new(200);
        let holder = budget.reserve(80).await.unwrap();
        budget.evict();
        assert!(!holder.is_evicted());
        Budget::complete(&holder);
        budget.evict();
        assert!(!holder.is_evicted());
    }

    #[tokio::test]
    async fn content_that_has_ended_is_evicted_no_more() {
        let budget = Budget::new(200);
        let holder = budget.reserve(80).await.unwrap();
        *holder.evicted.lock() = true;
        Budget::complete(&holder);
        budget.moved(&holder);
        budget.evict();
        assert!(!holder.is_evicted() && holder.moved.load(Ordering::Relaxed) == u64::MAX);
    }
}
