//! A lane: a work queue with one worker at a time, off the async threads. Backends hash in lanes while they receive.
//!
//! Invariants: a lane holds a thread only while it has items; its queue is bounded by its capacity; every accepted item
//! is processed, even if its sender is dropped.

use crate::watched::Watched;
use crate::{Blake3, Error, Result, Sha256, limits};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The work of a lane.
pub trait Work: Send + 'static {
    /// An item of the queue.
    type Item: Send + 'static;

    /// Processes the next item. After a failure no other item follows.
    fn take(&mut self, item: Self::Item) -> Result<()>;
}

/// Frames that are queued together, with their share of the store's memory budget.
pub struct Batch {
    frames: Vec<Bytes>,
    _budget: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// The frames.
    pub fn frames(&self) -> &[Bytes] {
        &self.frames
    }

    /// A batch that returns `budget` when it is dropped.
    pub fn new(frames: Vec<Bytes>, budget: Option<OwnedSemaphorePermit>) -> Arc<Batch> {
        Arc::new(Batch { frames, _budget: budget })
    }
}

/// A lane with a state of type `W`.
pub struct Lane<W: Work> {
    queue: Arc<Watched<Queue<W>>>,
    slots: Arc<Semaphore>,
}

struct Queue<W: Work> {
    /// Absent while a job works with it, and for ever after that job has failed.
    state: Option<W>,
    /// The items that wait, each with its place in the queue.
    items: VecDeque<(W::Item, OwnedSemaphorePermit)>,
    failure: Option<Error>,
    running: bool,
}

impl<W: Work> Lane<W> {
    /// A lane with nothing to do, whose queue holds at most `capacity` items.
    pub fn new(state: W, capacity: usize) -> Self {
        let queue = Queue { state: Some(state), items: VecDeque::new(), failure: None, running: false };
        Lane { queue: Arc::new(Watched::new(queue)), slots: Arc::new(Semaphore::new(capacity)) }
    }

    /// Queues an item; waits while the queue is full.
    ///
    /// # Errors
    /// The failure of an earlier item.
    pub async fn push(&self, item: W::Item) -> Result<()> {
        let slot = self.slots.clone().acquire_owned().await.map_err(Error::internal)?;
        let state = {
            let mut queue = self.queue.lock();
            if let Some(failure) = &queue.failure {
                return Err(failure.repeat());
            }
            queue.items.push_back((item, slot));
            queue.running |= queue.state.is_some();
            queue.state.take()
        };
        // After the lock is released, because the job takes it first.
        if let Some(state) = state {
            let queue = self.queue.clone();
            tokio::task::spawn_blocking(move || run(&queue, state));
        }
        Ok(())
    }

    /// Waits until all items are processed, and returns the state.
    pub async fn finish(self) -> Result<W> {
        let done = self.queue.until(|queue| match queue.failure.take() {
            Some(failure) => Some(Err(failure)),
            None if queue.running => None,
            None => Some(queue.state.take().ok_or_else(|| Error::internal("a lane without a state"))),
        });
        done.await
    }
}

fn run<W: Work>(queue: &Watched<Queue<W>>, mut state: W) {
    let mut stopped = Stopped { queue, is_done: false };
    loop {
        let (item, slot) = {
            let mut queue = queue.lock();
            match queue.items.pop_front() {
                Some(next) => next,
                None => {
                    queue.state = Some(state);
                    queue.running = false;
                    // The next item to be queued starts another job.
                    stopped.is_done = true;
                    return;
                }
            }
        };
        let taken = state.take(item);
        drop(slot);
        if let Err(error) = taken {
            queue.lock().failure = Some(error);
            return;
        }
    }
}

/// Wakes the waiting callers. Drops the items that will never be processed, because the job failed or panicked.
struct Stopped<'a, W: Work> {
    queue: &'a Watched<Queue<W>>,
    is_done: bool,
}

impl<W: Work> Drop for Stopped<'_, W> {
    fn drop(&mut self) {
        if !self.is_done {
            let left = {
                let mut queue = self.queue.lock();
                queue.running = false;
                queue.failure.get_or_insert_with(|| Error::internal("a job of this put panicked"));
                std::mem::take(&mut queue.items)
            };
            // After the lock is released, because a dropped item may take it.
            drop(left);
        }
        self.queue.notify();
    }
}

/// The digests that run over content, as the state of a lane.
#[derive(Default)]
pub struct Hashes {
    /// The identity of a part, where comparing content would be a download.
    pub blake3: Option<Blake3>,
    /// SHA-256 of this content.
    pub sha256: Option<Sha256>,
    /// SHA-256 of the object up to the end of this content.
    pub chain: Option<Sha256>,
    /// Bytes hashed.
    pub size: u64,
}

impl Hashes {
    /// A lane for these digests; `None` if there is none to compute.
    pub fn lane(self, capacity: usize) -> Option<Lane<Hashes>> {
        let has_work = self.blake3.is_some() || self.sha256.is_some() || self.chain.is_some();
        has_work.then(|| Lane::new(self, capacity))
    }
}

impl Work for Hashes {
    type Item = Arc<Batch>;

    fn take(&mut self, batch: Arc<Batch>) -> Result<()> {
        for frame in batch.frames() {
            self.size += frame.len() as u64;
            if let Some(hash) = &mut self.blake3 {
                hash.update(frame);
            }
            for hash in [&mut self.sha256, &mut self.chain].into_iter().flatten() {
                hash.update(frame);
            }
        }
        Ok(())
    }
}

/// The running puts of a store, which share [`limits::GATHER_BUDGET`].
#[derive(Default)]
pub struct Puts(AtomicUsize);

impl Puts {
    /// Adds a put.
    pub fn share(self: &Arc<Self>) -> Share {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// The share of one put in the gathering budget.
pub struct Share(Arc<Puts>);

impl Share {
    /// Bytes that the put may gather now.
    pub fn batch(&self) -> usize {
        let each = limits::GATHER_BUDGET / self.0.0.load(Ordering::Relaxed).max(1);
        each.clamp(limits::WRITE_BATCH_MIN, limits::WRITE_BATCH)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gathers frames into batches.
#[derive(Default)]
pub struct Gather {
    frames: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Gather {
    /// Adds a frame; returns the frames of a batch when they have at least `batch` bytes.
    pub fn add(&mut self, frame: Bytes, batch: usize) -> Option<Vec<Bytes>> {
        self.len += frame.len();
        if frame.len() < limits::SMALL_FRAME {
            self.small.extend_from_slice(&frame);
        } else {
            self.close_small();
            self.frames.push(frame);
        }
        if self.len >= batch { self.take() } else { None }
    }

    /// The gathered frames, if there are any.
    pub fn take(&mut self) -> Option<Vec<Bytes>> {
        self.close_small();
        self.len = 0;
        let frames = std::mem::take(&mut self.frames);
        (!frames.is_empty()).then_some(frames)
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.frames.push(self.small.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests;
