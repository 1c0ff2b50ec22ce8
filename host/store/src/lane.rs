//! Work on batches of bytes, in order and off the async threads: for backends, beside their receiving.
//! Invariants: a lane holds a thread only while it has something to do; no more items wait in it than it was told,
//! besides those that are queued without waiting; what it was handed it works on to the end, whoever has gone meanwhile.

use crate::watched::Watched;
use crate::{Blake3, Error, Result, Sha256, limits};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a lane does with what it is handed.
pub trait Work: Send + 'static {
    /// What is handed over.
    type Item: Send + 'static;

    /// Takes the next item. After a failure there is no other.
    fn take(&mut self, item: Self::Item) -> Result<()>;
}

/// Frames that are handed over together, with their share of the store's budget.
pub struct Batch {
    frames: Vec<Bytes>,
    _budget: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// The frames.
    pub fn frames(&self) -> &[Bytes] {
        &self.frames
    }

    /// A batch that gives `budget` back when it has been worked on.
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
    /// Absent while a job works on it, and for ever if that job failed.
    state: Option<W>,
    /// What waits, and its place among those that may.
    items: VecDeque<(W::Item, Option<OwnedSemaphorePermit>)>,
    failure: Option<Error>,
    running: bool,
}

impl<W: Work> Lane<W> {
    /// A lane with nothing to do, in which so many items may wait.
    pub fn new(state: W, queue_max: usize) -> Self {
        let queue = Queue { state: Some(state), items: VecDeque::new(), failure: None, running: false };
        Lane { queue: Arc::new(Watched::new(queue)), slots: Arc::new(Semaphore::new(queue_max)) }
    }

    /// Hands over an item; waits while too many wait already. Answers the failure of an earlier one.
    pub async fn push(&self, item: W::Item) -> Result<()> {
        let slot = self.slots.clone().acquire_owned().await.map_err(Error::internal)?;
        self.enqueue(item, Some(slot))
    }

    /// As [`Lane::push`], for an item of no size: it does not wait.
    pub fn queue(&self, item: W::Item) -> Result<()> {
        self.enqueue(item, None)
    }

    fn enqueue(&self, item: W::Item, slot: Option<OwnedSemaphorePermit>) -> Result<()> {
        let state = {
            let mut queue = self.queue.lock();
            if let Some(failure) = &queue.failure {
                return Err(failure.repeat());
            }
            queue.items.push_back((item, slot));
            queue.running |= queue.state.is_some();
            queue.state.take()
        };
        // Not under the lock, which the job wants first of all.
        if let Some(state) = state {
            let queue = self.queue.clone();
            tokio::task::spawn_blocking(move || run(&queue, state));
        }
        Ok(())
    }

    /// The state, if everything is done; else the lane.
    pub fn try_finish(self) -> Result<W, Self> {
        let state = {
            let mut queue = self.queue.lock();
            if queue.failure.is_none() && !queue.running { queue.state.take() } else { None }
        };
        state.ok_or(self)
    }

    /// Waits until everything is done, and answers the state.
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
                    // Whoever queues something from now on begins another job.
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

/// Tells whoever waits. Lets go of what will never be worked on, because the job failed or panicked.
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
            // Not under the lock: what is let go may want it.
            drop(left);
        }
        self.queue.notify();
    }
}

/// The digests that run over content, as the state of a lane.
#[derive(Default)]
pub struct Hashes {
    /// The identity of a part, where comparing content would mean to fetch it.
    pub blake3: Option<Blake3>,
    /// SHA-256 of this content.
    pub sha256: Option<Sha256>,
    /// SHA-256 of the object up to the end of this content.
    pub chain: Option<Sha256>,
    /// Bytes hashed.
    pub size: u64,
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
    /// Counts a put in.
    pub fn share(self: &Arc<Self>) -> Share {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// The share of one put in what may be gathered.
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
    /// Adds a frame; answers the frames of a batch when they are at least so many bytes.
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

    /// What has been gathered, if anything.
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
