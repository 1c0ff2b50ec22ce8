//! The memory that the puts of a local store share.

use crate::lane::Batch;
use crate::{Error, Result, limits};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// The memory that all puts of a store share.
pub(super) struct Budget {
    /// For what waits for lanes: [`limits::WRITE_BUDGET`].
    waiting: Arc<Semaphore>,
    puts: AtomicUsize,
}

impl Budget {
    pub(super) fn new() -> Arc<Budget> {
        Arc::new(Budget { waiting: Arc::new(Semaphore::new(limits::WRITE_BUDGET)), puts: AtomicUsize::new(0) })
    }

    /// A batch, once there is room for it.
    pub(super) async fn batch(&self, frames: Vec<Bytes>) -> Result<Arc<Batch>> {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let share = u32::try_from(bytes.min(limits::WRITE_BUDGET)).unwrap_or(u32::MAX);
        let permit = self.waiting.clone().acquire_many_owned(share).await.map_err(Error::internal)?;
        Ok(Batch::new(frames, Some(permit)))
    }

    /// Counts a put in.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        self.puts.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// The part of one put in the budget.
pub(super) struct Share(Arc<Budget>);

impl Share {
    /// Bytes that the put may gather now.
    pub(super) fn batch(&self) -> usize {
        let each = limits::GATHER_BUDGET / self.0.puts.load(Ordering::Relaxed).max(1);
        each.clamp(limits::WRITE_BATCH_MIN, limits::WRITE_BATCH)
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.puts.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_puts_the_less_each_gathers() {
        let budget = Budget::new();
        let alone = budget.share();
        assert_eq!(alone.batch(), limits::WRITE_BATCH);
        let others: Vec<_> = (1..200).map(|_| budget.share()).collect();
        assert!(alone.batch() * 200 <= limits::GATHER_BUDGET && alone.batch() > limits::WRITE_BATCH_MIN);
        let more: Vec<_> = (0..1_000).map(|_| budget.share()).collect();
        assert_eq!(alone.batch(), limits::WRITE_BATCH_MIN);
        drop((others, more));
        assert_eq!(alone.batch(), limits::WRITE_BATCH);
    }
}
