//! Work on batches of bytes, in order and off the async threads.
//!
//! A put has one lane that writes and one that hashes; both run beside the receiving. Invariants: a lane holds a
//! thread only while it has a batch; at most [`limits::WRITE_QUEUE`] batches wait in it; what its state owns (a file,
//! a claim) is let go only when its last batch is done, even if the put was dropped long before.

use crate::{Error, Result, limits};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What a lane does with a batch.
pub(super) trait Work: Send + 'static {
    /// Takes the frames of the next batch. After a failure there is no other.
    fn take(&mut self, frames: &[Bytes]) -> Result<()>;
}

/// Frames that are handed over together, with their share of the store's budget.
pub(super) struct Batch {
    frames: Vec<Bytes>,
    _budget: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// A batch, once the budget has room for it.
    pub(super) async fn new(frames: Vec<Bytes>, budget: &Budget) -> Result<Arc<Batch>> {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let share = u32::try_from(bytes.min(limits::WRITE_BUDGET)).unwrap_or(u32::MAX);
        let permit = budget.waiting.clone().acquire_many_owned(share).await.map_err(Error::internal)?;
        Ok(Arc::new(Batch { frames, _budget: Some(permit) }))
    }
}

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

/// A lane with a state of type `W`.
pub(super) struct Lane<W: Work> {
    shared: Arc<Shared<W>>,
    slots: Arc<Semaphore>,
}

struct Shared<W> {
    queue: Mutex<Queue<W>>,
    changed: Notify,
}

struct Queue<W> {
    /// Absent while a job works on it, and for ever if that job panicked.
    state: Option<W>,
    batches: VecDeque<(Arc<Batch>, OwnedSemaphorePermit)>,
    failure: Option<Error>,
    running: bool,
}

impl<W: Work> Lane<W> {
    /// A lane with nothing to do.
    pub(super) fn new(state: W) -> Self {
        let queue = Queue { state: Some(state), batches: VecDeque::new(), failure: None, running: false };
        Lane {
            shared: Arc::new(Shared { queue: Mutex::new(queue), changed: Notify::new() }),
            slots: Arc::new(Semaphore::new(limits::WRITE_QUEUE)),
        }
    }

    /// Hands over a batch; waits while too many wait already. Answers the failure of an earlier batch.
    pub(super) async fn push(&self, batch: Arc<Batch>) -> Result<()> {
        let slot = self.slots.clone().acquire_owned().await.map_err(Error::internal)?;
        let mut queue = self.shared.lock();
        if let Some(failure) = &queue.failure {
            return Err(failure.repeat());
        }
        queue.batches.push_back((batch, slot));
        if let Some(state) = queue.state.take() {
            queue.running = true;
            let shared = self.shared.clone();
            tokio::task::spawn_blocking(move || shared.run(state));
        }
        Ok(())
    }

    /// Waits until everything is done, and answers the state.
    pub(super) async fn finish(self) -> Result<W> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut queue = self.shared.lock();
                if let Some(failure) = queue.failure.take() {
                    return Err(failure);
                }
                if !queue.running {
                    return queue.state.take().ok_or_else(|| Error::internal("a job of this put panicked"));
                }
            }
            changed.await;
        }
    }
}

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        let state = {
            let mut queue = self.shared.lock();
            queue.batches.clear();
            queue.state.take()
        };
        drop(state);
    }
}

impl<W: Work> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Queue<W>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut state: W) {
        let _stopped = Stopped(self);
        loop {
            let (batch, slot) = {
                let mut queue = self.lock();
                match queue.batches.pop_front() {
                    Some(next) => next,
                    None => {
                        queue.state = Some(state);
                        queue.running = false;
                        return;
                    }
                }
            };
            let taken = state.take(&batch.frames);
            drop(batch);
            drop(slot);
            if let Err(error) = taken {
                let mut queue = self.lock();
                queue.failure = Some(error);
                queue.batches.clear();
                queue.state = Some(state);
                queue.running = false;
                return;
            }
        }
    }
}

/// Tells whoever waits, also when the job panicked.
struct Stopped<'a, W: Work>(&'a Shared<W>);

impl<W: Work> Drop for Stopped<'_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().running = false;
        }
        self.0.changed.notify_waiters();
    }
}

/// Gathers frames into batches.
#[derive(Default)]
pub(super) struct Gather {
    frames: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Gather {
    /// Adds a frame; answers the frames of a batch when they are at least so many bytes.
    pub(super) fn add(&mut self, frame: Bytes, batch: usize) -> Option<Vec<Bytes>> {
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
    pub(super) fn take(&mut self) -> Option<Vec<Bytes>> {
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
mod tests {
    use super::*;

    struct Collect(Vec<u8>, Option<usize>);

    impl Work for Collect {
        fn take(&mut self, frames: &[Bytes]) -> Result<()> {
            for frame in frames {
                self.0.extend_from_slice(frame);
            }
            if self.1.is_some_and(|limit| self.0.len() > limit) { Err(Error::NoSpace) } else { Ok(()) }
        }
    }

    fn batch(text: &str) -> Arc<Batch> {
        Arc::new(Batch { frames: vec![Bytes::copy_from_slice(text.as_bytes())], _budget: None })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_are_taken_in_order() {
        let lane = Lane::new(Collect(Vec::new(), None));
        let mut expected = String::new();
        for n in 0..1000 {
            let text = format!("{n};");
            lane.push(batch(&text)).await.unwrap();
            expected.push_str(&text);
        }
        assert_eq!(lane.finish().await.unwrap().0, expected.as_bytes());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failure_is_answered_and_ends_the_lane() {
        let lane = Lane::new(Collect(Vec::new(), Some(3)));
        let mut pushed = 0;
        while lane.push(batch("ab")).await.is_ok() {
            pushed += 1;
            assert!(pushed < 10, "the failure of the second batch must be seen soon");
        }
        assert!(matches!(lane.finish().await, Err(Error::NoSpace)));
    }

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

    #[test]
    fn frames_keep_their_order_and_small_ones_share_memory() {
        let mut gather = Gather::default();
        let big = Bytes::from(vec![b'B'; limits::SMALL_FRAME]);
        for frame in [Bytes::from("a"), Bytes::from("b"), big.clone(), Bytes::from("c")] {
            assert!(gather.add(frame, limits::WRITE_BATCH).is_none());
        }
        let frames = gather.take().unwrap();
        assert_eq!(frames, vec![Bytes::from("ab"), big.clone(), Bytes::from("c")]);
        assert!(gather.take().is_none());
        for _ in 1..limits::WRITE_BATCH / limits::SMALL_FRAME {
            assert!(gather.add(big.clone(), limits::WRITE_BATCH).is_none());
        }
        assert!(gather.add(big, limits::WRITE_BATCH).is_some());
    }
}
