use super::*;

struct Collect(Vec<u8>, Option<usize>);

impl Work for Collect {
    type Item = Arc<Batch>;

    fn take(&mut self, batch: Arc<Batch>) -> Result<()> {
        for frame in batch.frames() {
            self.0.extend_from_slice(frame);
        }
        if self.1.is_some_and(|limit| self.0.len() > limit) { Err(Error::NoSpace) } else { Ok(()) }
    }
}

fn batch(text: &str) -> Arc<Batch> {
    Batch::new(vec![Bytes::copy_from_slice(text.as_bytes())], None)
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_taken_in_order() {
    let lane = Lane::new(Collect(Vec::new(), None), 2);
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
    let lane = Lane::new(Collect(Vec::new(), Some(3)), 2);
    let mut pushed = 0;
    while lane.push(batch("ab")).await.is_ok() {
        pushed += 1;
        assert!(pushed < 10, "the failure of the second batch must be seen soon");
    }
    assert!(matches!(lane.finish().await, Err(Error::NoSpace)));
}

/// Processes a batch only after a signal.
struct Slow(std::sync::mpsc::Receiver<()>, usize);

impl Work for Slow {
    type Item = Arc<Batch>;

    fn take(&mut self, _: Arc<Batch>) -> Result<()> {
        self.0.recv().map_err(Error::internal)?;
        self.1 += 1;
        Ok(())
    }
}

/// A lane that has the same batch ten times, and waits for a signal for each.
async fn held_up() -> (std::sync::mpsc::Sender<()>, Lane<Slow>, Arc<Batch>) {
    let (go_on, told) = std::sync::mpsc::channel();
    let lane = Lane::new(Slow(told, 0), 10);
    let waiting = batch("a");
    for _ in 0..10 {
        lane.push(waiting.clone()).await.unwrap();
    }
    (go_on, lane, waiting)
}

/// Returns when no other holder of the batch is left.
async fn let_go(batch: &Arc<Batch>) {
    while Arc::strong_count(batch) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_let_go_works_to_its_end() {
    let (go_on, lane, waiting) = held_up().await;
    drop(lane);
    (0..10).for_each(|_| go_on.send(()).unwrap());
    let_go(&waiting).await;
    // Its state is dropped too.
    while go_on.send(()).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_has_failed_lets_go_of_what_waits() {
    let (go_on, lane, waiting) = held_up().await;
    drop(go_on);
    let_go(&waiting).await;
    lane.push(waiting.clone()).await.expect_err("it has failed");
    assert_eq!(Arc::strong_count(&waiting), 1);
}

struct Panics;

impl Work for Panics {
    type Item = Arc<Batch>;

    fn take(&mut self, _: Arc<Batch>) -> Result<()> {
        panic!("as it should")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_is_a_failure() {
    let lane = Lane::new(Panics, 10);
    lane.push(batch("a")).await.unwrap();
    assert!(matches!(lane.finish().await, Err(Error::Internal(_))));
}

#[test]
fn the_more_puts_the_less_each_gathers() {
    let puts = Arc::new(Puts::default());
    let alone = puts.share();
    assert_eq!(alone.batch(), limits::WRITE_BATCH);
    let others: Vec<_> = (1..200).map(|_| puts.share()).collect();
    assert!(alone.batch() * 200 <= limits::GATHER_BUDGET && alone.batch() > limits::WRITE_BATCH_MIN);
    let more: Vec<_> = (0..1_000).map(|_| puts.share()).collect();
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
