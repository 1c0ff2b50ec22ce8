//! What the streams promise, with sources and backends that stall, fail and cut off.

use super::{AnyUpload, GuestWriter, Pull, StoredStream};
use crate::fault::Fault;
use crate::limits::{PULL_READ, SINK_WRITE};
use crate::testing::{Fake, Source, Step, Stored};
use bytes::Bytes;
use portico_store::stream::ByteStream as _;
use portico_store::{Error, Expected, PartOptions, Result, Scope, SessionId, put_part};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use wasmtime_wasi::p2::{InputStream as _, OutputStream as _, Pollable as _, StreamError};
use wasmtime_wasi::runtime::poll_noop;

fn text(text: &'static str) -> Step {
    Step::Bytes(Bytes::from_static(text.as_bytes()))
}

fn permits() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

fn permit(permits: &Arc<Semaphore>) -> super::Permit {
    Arc::clone(permits).try_acquire_owned().expect("a free place")
}

async fn put(fake: &Fake, steps: impl IntoIterator<Item = Step>) -> wasmtime::Result<Result<u64>> {
    let mut source = Pull::new(Source::new(steps).boxed());
    let session = SessionId::parse("s").expect("an id");
    let put = put_part(fake, &Scope::root(), &session, 0, &mut source, PartOptions::default()).await;
    source.outcome(put.map(|_| 0))
}

async fn writer(fake: &Fake) -> GuestWriter {
    let session = SessionId::parse("s").expect("an id");
    let upload = portico_store::Upload::part(fake, &Scope::root(), &session, 0, PartOptions::default()).await;
    GuestWriter::new(AnyUpload::Part(upload.expect("the double never refuses").into()), permit(&permits()))
}

fn failed(error: StreamError) -> Fault {
    match error {
        StreamError::LastOperationFailed(error) => error.downcast_ref::<Fault>().expect("a storage error").clone(),
        other => panic!("not a failure of storage: {other}"),
    }
}

fn disk_on_fire() -> Error {
    Error::internal("sda1 is on fire")
}

#[tokio::test]
async fn a_pull_passes_frames_on_as_they_are() {
    let frame = Bytes::from(vec![7; 100_000]);
    let source = Source::new([Step::Bytes(frame.clone()), text("end")]);
    let largest_read = Arc::clone(&source.largest_read);
    let mut pull = Pull::new(source.boxed());
    let first = pull.next().await.expect("a frame").expect("not the end");
    assert_eq!((first.as_ptr(), first.len()), (frame.as_ptr(), frame.len()), "the same memory, not a copy");
    assert_eq!(pull.next().await.expect("a frame"), Some(Bytes::from_static(b"end")));
    assert_eq!(pull.next().await.expect("the end"), None);
    assert_eq!(largest_read.load(Ordering::Relaxed), PULL_READ);
}

#[tokio::test]
async fn a_source_that_is_ready_too_early_lets_others_run() {
    // The other task runs only when the pull yields, and only then is there an end to read.
    struct Eager(Arc<AtomicBool>, usize);
    #[async_trait::async_trait]
    impl wasmtime_wasi::p2::Pollable for Eager {
        async fn ready(&mut self) {}
    }
    impl wasmtime_wasi::p2::InputStream for Eager {
        fn read(&mut self, _: usize) -> wasmtime_wasi::p2::StreamResult<Bytes> {
            self.1 += 1;
            assert!(self.1 < 1_000_000, "the other task never runs");
            if self.0.load(Ordering::Relaxed) { Err(StreamError::Closed) } else { Ok(Bytes::new()) }
        }
    }
    let flag = Arc::new(AtomicBool::new(false));
    let mut pull = Pull::new(Box::new(Eager(Arc::clone(&flag), 0)));
    let other = tokio::spawn(async move { flag.store(true, Ordering::Relaxed) });
    assert_eq!(pull.next().await.expect("the end"), None);
    other.await.expect("it does not panic");
}

#[tokio::test]
async fn a_pull_that_is_dropped_while_it_waits_loses_nothing() {
    let gate = Arc::new(Semaphore::new(0));
    let mut pull = Pull::new(Source::new([text("a"), Step::Wait(Arc::clone(&gate)), text("b")]).boxed());
    assert_eq!(pull.next().await.expect("a frame"), Some(Bytes::from_static(b"a")));
    assert!(poll_noop(pin!(pull.next())).is_none(), "nothing is there yet");
    gate.add_permits(1);
    assert_eq!(pull.next().await.expect("a frame"), Some(Bytes::from_static(b"b")));
}

#[tokio::test]
async fn a_source_that_fails_is_no_end() {
    let fake = Fake::new();
    let put = put(&fake, [text("hello"), Step::Nothing, Step::Fail("connection reset")]).await.expect("no trap");
    assert!(matches!(put, Err(Error::Interrupted { received: 5 })), "{put:?}");
    assert_eq!(fake.finished(), 0);
}

#[tokio::test]
async fn a_source_that_traps_traps() {
    let fake = Fake::new();
    let trap = put(&fake, [text("hello"), Step::Trap("beyond repair")]).await.expect_err("a trap");
    assert_eq!(trap.to_string(), "beyond repair");
    assert_eq!(fake.finished(), 0);
}

#[tokio::test]
async fn a_reader_cuts_chunks_to_size_and_then_is_closed() {
    let stored = Stored::new([Ok(Bytes::from_static(b"hello")), Ok(Bytes::from_static(b" world"))]);
    let alive = Arc::downgrade(&stored.alive);
    let mut reader = StoredStream::new(Box::new(stored), permit(&permits()));
    reader.ready().await;
    assert_eq!(reader.read(0).expect("nothing of it"), "");
    assert_eq!(reader.read(2).expect("a piece"), "he");
    assert_eq!(reader.read(usize::MAX).expect("the rest of the chunk"), "llo");
    assert_eq!(reader.read(usize::MAX).expect("the next chunk, without polling"), " world");
    assert!(matches!(reader.blocking_read(1).await, Err(StreamError::Closed)));
    assert!(matches!(reader.read(1), Err(StreamError::Closed)));
    assert!(alive.upgrade().is_none(), "the backend's stream goes with its end");
}

#[tokio::test]
async fn a_reader_answers_a_failure_once_and_keeps_its_cause() {
    let stored = Stored::new([Ok(Bytes::from_static(b"hello")), Err(disk_on_fire())]);
    let alive = Arc::downgrade(&stored.alive);
    let mut reader = StoredStream::new(Box::new(stored), permit(&permits()));
    assert_eq!(reader.blocking_read(10).await.expect("a chunk"), "hello");
    let StreamError::LastOperationFailed(error) = reader.blocking_read(10).await.expect_err("the failure") else {
        panic!("a failure is neither an end nor a trap");
    };
    let fault = error.downcast_ref::<Fault>().expect("a storage error");
    assert!(matches!(fault.error(), Error::Internal(_)));
    let shown = format!("{error:?} {error:#}");
    assert!(shown.contains(fault.id()) && !shown.contains("fire"), "what a guest can read: {shown}");
    assert!(matches!(reader.read(10), Err(StreamError::Closed)));
    assert!(alive.upgrade().is_none(), "the backend's stream goes with its failure");
}

#[tokio::test]
async fn a_reader_gives_back_what_it_holds_when_it_is_dropped() {
    let permits = permits();
    let stored = Stored::new([Ok(Bytes::from_static(b"hello"))]);
    let alive = Arc::downgrade(&stored.alive);
    let reader = StoredStream::new(Box::new(stored), permit(&permits));
    assert_eq!((permits.available_permits(), alive.strong_count()), (0, 1));
    drop(reader);
    assert_eq!((permits.available_permits(), alive.strong_count()), (1, 0));
}

#[tokio::test]
async fn a_sink_permits_nothing_while_a_write_is_in_flight() {
    let fake = Fake::held_up();
    let writer = writer(&fake).await;
    let mut sink = writer.sink().expect("a sink");
    assert_eq!(sink.check_write().expect("a permit"), SINK_WRITE);
    sink.write(Bytes::from_static(b"hello")).expect("taken");
    sink.flush().expect("no failure");
    assert_eq!(sink.check_write().expect("no failure"), 0);
    assert!(poll_noop(pin!(sink.ready())).is_none());
    assert!(matches!(sink.write(Bytes::from_static(b"!")), Err(StreamError::Trap(_))), "a write without a permit");
    fake.gate.add_permits(1);
    assert_eq!(sink.write_ready().await.expect("a permit"), SINK_WRITE);
    assert_eq!(fake.taken(), b"hello");
    let too_much = Bytes::from(vec![0; SINK_WRITE + 1]);
    assert!(matches!(sink.write(too_much), Err(StreamError::Trap(_))), "a write beyond the permit");
}

#[tokio::test]
async fn what_a_sink_accepted_is_in_the_content_after_its_drop() {
    let fake = Fake::held_up();
    let writer = writer(&fake).await;
    let mut sink = writer.sink().expect("a sink");
    assert!(writer.is_shared());
    sink.write(Bytes::from_static(b"hello")).expect("taken");
    sink.cancel().await;
    drop(sink);
    assert!(!writer.is_shared());
    let mut finish = pin!(writer.finish(Expected { size: Some(5), ..Expected::default() }));
    assert!(poll_noop(finish.as_mut()).is_none(), "the bytes are still on their way");
    assert_eq!(fake.finished(), 0);
    fake.gate.add_permits(1);
    assert!(finish.await.is_ok());
    assert_eq!((fake.taken(), fake.finished()), (b"hello".to_vec(), 1));
}

#[tokio::test]
async fn a_sink_answers_a_failure_once_and_the_writer_for_ever() {
    let fake = Fake::new();
    let mut writer = writer(&fake).await;
    let mut sink = writer.sink().expect("a sink");
    sink.blocking_write_and_flush(Bytes::from_static(b"hello")).await.expect("taken");
    fake.fail_next(disk_on_fire());
    let first = failed(sink.blocking_write_and_flush(Bytes::from_static(b"!")).await.expect_err("the failure"));
    assert!(matches!(sink.check_write(), Err(StreamError::Closed)));
    assert!(matches!(sink.flush(), Err(StreamError::Closed)));
    assert!(matches!(sink.blocking_write_and_flush(Bytes::from_static(b"!")).await, Err(StreamError::Closed)));
    drop(sink);
    assert_eq!(writer.sink().err().expect("the same failure").id(), first.id());
    let source = Source::new([text("more")]);
    let alive = Arc::downgrade(&source.alive);
    let pulled = writer.pull(&mut Pull::new(source.boxed())).await;
    assert_eq!(pulled.expect_err("the same failure").id(), first.id());
    assert!(alive.upgrade().is_none(), "content is consumed also on failure");
    let finished = writer.finish(Expected::default()).await.err().expect("the same failure");
    assert_eq!(finished.id(), first.id());
    assert_eq!(fake.finished(), 0);
}

#[tokio::test]
async fn a_writer_takes_pulls_and_sinks_in_turn() {
    let fake = Fake::new();
    let mut writer = writer(&fake).await;
    let pulled = writer.pull(&mut Pull::new(Source::new([text("one "), text("two ")]).boxed())).await;
    assert_eq!(pulled.expect("taken"), 8);
    let mut sink = writer.sink().expect("a sink");
    sink.write(Bytes::from_static(b"three ")).expect("taken");
    drop(sink);
    let pulled = writer.pull(&mut Pull::new(Source::new([text("four")]).boxed())).await;
    assert_eq!(pulled.expect("taken"), 4);
    assert!(writer.finish(Expected { size: Some(18), ..Expected::default() }).await.is_ok());
    assert_eq!(fake.taken(), b"one two three four");
}

#[tokio::test]
async fn a_pull_that_is_cut_off_fails_the_writer() {
    let fake = Fake::new();
    let mut writer = writer(&fake).await;
    let cut = Source::new([text("one"), Step::Fail("connection reset"), text("two")]);
    let pulled = writer.pull(&mut Pull::new(cut.boxed())).await;
    assert!(matches!(pulled.expect_err("cut off").error(), Error::Interrupted { received: 3 }));
    let finished = writer.finish(Expected::default()).await.err().expect("the same failure");
    assert!(matches!(finished.error(), Error::Interrupted { received: 3 }));
    assert_eq!(fake.finished(), 0);
}
