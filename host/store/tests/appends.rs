//! Sessions that grow by appends whose sources break off: prefixes, joins, and the digest of the whole.

mod support;

use bytes::Bytes;
use portico_store::local::LocalStore;
use portico_store::stream::{ByteStream, collect, from_bytes};
use portico_store::{
    Backend, ByteRange, Error, FinalOptions, PartOptions, PartReceipt, Result, Sha256, TempKey, assemble_final,
    join_parts, limits, put_part,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::hold::SOON;
use support::{content, file, open, scope, session};
use tokio::sync::Notify;

/// The ending of a source.
enum Ending {
    Fails(Error),
    /// Stalls, after a notice.
    Stalls(Arc<Notify>),
}

/// A source that delivers some frames.
struct Source(VecDeque<Bytes>, Ending);

impl Source {
    fn new(bytes: &[u8], ending: Ending) -> Self {
        Source(bytes.chunks(30_000).map(Bytes::copy_from_slice).collect(), ending)
    }
}

#[async_trait::async_trait]
impl ByteStream for Source {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match (self.0.pop_front(), &self.1) {
            (Some(frame), _) => Ok(Some(frame)),
            (None, Ending::Fails(error)) => Err(error.repeat()),
            (None, Ending::Stalls(notice)) => {
                notice.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn keeping(offset: u64, previous: Option<TempKey>) -> PartOptions {
    PartOptions { offset: Some(offset), keep_prefix: true, previous, ..PartOptions::default() }
}

async fn put(store: &LocalStore, number: u32, mut source: Source, options: PartOptions) -> Result<PartReceipt> {
    put_part(store, &scope(), &session("s"), number, &mut source, options).await
}

async fn read(store: &LocalStore, key: &TempKey) -> Vec<u8> {
    let mut stream = store.read_part(&scope(), key, ByteRange::default()).await.expect("a stream");
    collect(&mut *stream, 16 << 20).await.expect("a part")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_and_a_failure_keep_what_had_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let endings =
        [Error::Stalled { received: 0 }, Error::Interrupted { received: 0 }, Error::unavailable("the source is gone")];
    for (number, ending) in (0..).zip(endings) {
        let bytes = content(7, 100_000);
        let part = put(&store, number, Source::new(&bytes, Ending::Fails(ending.repeat())), keeping(0, None)).await;
        let part = part.expect("a prefix");
        assert_eq!((part.size, part.is_prefix), (100_000, true));
        assert!(read(&store, &part.key).await == bytes);
        let nothing =
            put(&store, 10 + number, Source::new(&[], Ending::Fails(ending.repeat())), keeping(0, None)).await;
        match (ending, nothing) {
            (Error::Stalled { .. }, Err(Error::Stalled { received: 0 })) => {}
            (_, Err(Error::Interrupted { received: 0 })) => {}
            (ending, nothing) => panic!("{ending:?}: {nothing:?}"),
        }
    }
}

/// The digest of the whole is carried from append to append and over joins, also by a store that was opened anew. The
/// session's own file becomes the object.
#[tokio::test(flavor = "multi_thread")]
async fn no_append_and_no_join_is_read_back_or_copied() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [300_000, 1, 3 << 20, 70_000, 600_000, 200_001, 64, 400_000];
    let (mut bytes, mut parts): (Vec<u8>, Vec<PartReceipt>) = (Vec::new(), Vec::new());
    for (at, size) in sizes.into_iter().enumerate() {
        let store = open(dir.path()).await.unwrap();
        let piece = content(at as u8 + 1, size);
        let number = 1_000 - 100 * at as u32;
        let options = keeping(bytes.len() as u64, parts.last().map(|part| part.key.clone()));
        let source = Source::new(&piece, Ending::Fails(Error::Stalled { received: 0 }));
        parts.push(put(&store, number, source, options).await.expect("a prefix"));
        bytes.extend(piece);
        if at % 2 == 1 {
            let list: Vec<TempKey> = parts.split_off(parts.len() - 2).into_iter().map(|part| part.key).collect();
            parts.push(join_parts(&store, &scope(), &session("s"), number - 1, &list).await.expect("a join"));
        }
        store.caught_up().await;
        assert_eq!(store.counters(), Default::default(), "append {at}");
    }
    let store = open(dir.path()).await.unwrap();
    // A join of joins.
    let keys: Vec<TempKey> = parts.iter().map(|part| part.key.clone()).collect();
    let first = join_parts(&store, &scope(), &session("s"), 2_000, &keys[..2]).await.expect("a join");
    let keys = [&[first.key][..], &keys[2..]].concat();
    let made = assemble_final(&store, &scope(), &file("f"), &keys, FinalOptions::default()).await.expect("an object");
    let mut sha256 = Sha256::new();
    sha256.update(&bytes);
    assert_eq!((made.size, made.sha256), (bytes.len() as u64, sha256.finish()));
    assert_eq!(store.counters(), Default::default());
    let mut stream = store.read_final(&scope(), &made.key, ByteRange::default()).await.unwrap();
    assert!(collect(&mut *stream, 16 << 20).await.unwrap() == bytes);
}

/// An append without bytes, whose size was unknown, occupies no range. The store opens again, and the next append
/// follows.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_append_of_unknown_size() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(1, 100_000);
    let (mut keys, mut offset): (Vec<TempKey>, u64) = (Vec::new(), 0);
    for (number, piece) in (1..).zip([&bytes[..60_000], &[], &[], &bytes[60_000..]]) {
        let store = open(dir.path()).await.unwrap();
        let mut source = from_bytes(piece.to_vec());
        let options = keeping(offset, keys.last().cloned());
        let part = put_part(&store, &scope(), &session("s"), number, &mut source, options).await.expect("a part");
        offset += part.size;
        keys.push(part.key);
    }
    let store = open(dir.path()).await.unwrap();
    let made = assemble_final(&store, &scope(), &file("f"), &keys, FinalOptions::default()).await.expect("an object");
    let mut sha256 = Sha256::new();
    sha256.update(&bytes);
    assert_eq!((made.size, made.sha256), (100_000, sha256.finish()));
}

/// Parts that a join copied are hashed in the background, where their digests are not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_without_a_digest_is_caught_up_with() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let pieces = [content(1, 100_000), content(2, 200_000)];
    let mut keys = Vec::new();
    for (number, piece) in (1..).zip(&pieces) {
        keys.push(support::part(&store, "s", number, None, piece.clone()).await.expect("a part").key);
    }
    let joined = join_parts(&store, &scope(), &session("s"), 3, &keys).await.expect("a join");
    assert_eq!(joined.offset, None);
    let made = assemble_final(&store, &scope(), &file("f"), &[joined.key], FinalOptions::default()).await.unwrap();
    let mut sha256 = Sha256::new();
    pieces.iter().for_each(|piece| sha256.update(piece));
    assert_eq!(made.sha256, sha256.finish());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_returns_when_the_prefix_is_a_part() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await.unwrap());
    let notice = Arc::new(Notify::new());
    let bytes = content(3, 700_000);
    let putting = tokio::spawn({
        let (store, source) = (store.clone(), Source::new(&bytes, Ending::Stalls(notice.clone())));
        async move { put(&store, 1, source, keeping(0, None)).await }
    });
    tokio::time::timeout(SOON, notice.notified()).await.expect("the source stalls");
    tokio::time::timeout(SOON, store.interrupt(&scope(), &session("s"))).await.expect("in time").unwrap();
    let parts = store.list_parts(&scope(), &session("s"), None, 10).await.unwrap().entries;
    assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [700_000]);
    let part = putting.await.unwrap().expect("a prefix");
    assert!(part.is_prefix && read(&store, &part.key).await == bytes);
}

/// An interrupt waits for a put that keeps its prefix, and not for ever: a caller may never poll the put again.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await.unwrap());
    let notice = Arc::new(Notify::new());
    let source = Source::new(&content(3, 700_000), Ending::Stalls(notice.clone()));
    let mut putting = Box::pin(put(&store, 1, source, keeping(0, None)));
    tokio::select! {
        put = &mut putting => panic!("{put:?}"),
        () = notice.notified() => {}
    }
    let began = Instant::now();
    let limit = limits::KEEP_PREFIX_WAIT + Duration::from_secs(60);
    tokio::time::timeout(limit, store.interrupt(&scope(), &session("s"))).await.expect("in time").unwrap();
    assert!(began.elapsed() >= limits::KEEP_PREFIX_WAIT);
    let late = putting.await;
    assert!(matches!(late, Err(Error::Interrupted { received: 700_000 })), "{late:?}");
    assert!(store.list_parts(&scope(), &session("s"), None, 10).await.unwrap().entries.is_empty());
}
