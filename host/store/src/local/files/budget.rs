//! The memory that the puts of a local store share.

use crate::lane::{Batch, Puts};
use crate::{Error, Result, limits};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The memory that all puts of a store share.
pub(crate) struct Budget {
    /// For batches that wait to be written or hashed: [`limits::WRITE_BUDGET`].
    waiting: Arc<Semaphore>,
    /// For gathered bytes.
    pub(crate) puts: Arc<Puts>,
}

impl Budget {
    pub(crate) fn new() -> Arc<Budget> {
        Arc::new(Budget { waiting: Arc::new(Semaphore::new(limits::WRITE_BUDGET)), puts: Arc::default() })
    }

    /// Returns a batch, once there is room for it.
    pub(crate) async fn batch(&self, frames: Vec<Bytes>) -> Result<Arc<Batch>> {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let share = u32::try_from(bytes.min(limits::WRITE_BUDGET)).unwrap_or(u32::MAX);
        let permit = self.waiting.clone().acquire_many_owned(share).await.map_err(Error::internal)?;
        Ok(Batch::new(frames, Some(permit)))
    }
}
