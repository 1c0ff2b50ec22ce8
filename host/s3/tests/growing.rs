//! Sessions that grow by appends whose sources break off: prefixes, joins, and the digest of the whole.

mod support;

use bytes::Bytes;
use portico_s3::{PART_SIZE_MIN, S3Options, S3Store};
use portico_store::stream::ByteStream;
use portico_store::{
    Backend, Error, FileId, IfExists, PartOptions, PartReceipt, Result, Scope, TempKey, assemble_final, join_parts,
    limits, put_part,
};
use portico_test_servers::{Fault, FaultProxy, Server};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::parts::session;
use support::{Framed, MIB, Stalled, audit, content, options, read, sha256, sized};
use tokio::task::JoinSet;

/// Time limit of everything that must end by itself.
const SOON: Duration = Duration::from_secs(20);

/// Delay of a request that no interrupt may wait for.
const LONG: Duration = Duration::from_secs(40);

/// A client that sends some bytes and then fails.
struct Failing(Framed);

#[async_trait::async_trait]
impl ByteStream for Failing {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.0.next().await? {
            Some(frame) => Ok(Some(frame)),
            None => Err(Error::Stalled { received: 0 }),
        }
    }
}

async fn store_at(server: &Server, bucket: &str, proxy: Option<&FaultProxy>, memory: usize) -> S3Store {
    let mut options: S3Options = server.options(bucket);
    (options.part_size, options.memory) = (PART_SIZE_MIN, memory);
    if let Some(proxy) = proxy {
        options.endpoint = Some(proxy.endpoint().to_owned());
    }
    S3Store::open(options).await.expect("the store opens")
}

fn keeping(size: Option<usize>, offset: u64, previous: Option<TempKey>) -> PartOptions {
    PartOptions { expected: sized(size), offset: Some(offset), keep_prefix: true, previous, ..PartOptions::default() }
}

/// Puts the bytes of a source that fails then, as one of `most` bytes.
async fn append(
    store: &S3Store,
    number: u32,
    bytes: &[u8],
    offset: u64,
    previous: Option<TempKey>,
    most: usize,
) -> PartReceipt {
    let options = keeping(Some(most), offset, previous);
    let mut source = Failing(Framed::new(bytes));
    let put = put_part(store, &Scope::root(), &session(), number, &mut source, options).await.expect("a prefix");
    assert_eq!((put.size, put.is_prefix), (bytes.len() as u64, true));
    put
}

async fn assert_clean(server: &Server, bucket: &str, store: &S3Store) {
    store.settle().await;
    for _ in 0..2 {
        server.advance(Duration::from_secs(25 * 60 * 60));
        store.sweep().await.unwrap();
    }
    let left = audit::left(&server.client(), bucket).await;
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// The digest of the whole is carried from append to append, over joins, and from host to host.
#[tokio::test(flavor = "multi_thread")]
async fn no_append_and_no_join_is_read_back_for_the_digest() {
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let sizes = [300_000, 1, 6 * MIB, 70_000, 5 * MIB, 200_001, 64, 400_000];
    let whole: usize = sizes.iter().sum();
    let (mut bytes, mut newest): (Vec<u8>, Option<PartReceipt>) = (Vec::new(), None);
    for (at, size) in sizes.into_iter().enumerate() {
        // A new host each time, and numbers that tell no neighbours.
        let store = store_at(&server, &bucket, None, 40 * MIB).await;
        let piece = content(size, at as u64);
        let (number, offset) = (1_000 - 100 * at as u32, bytes.len() as u64);
        let previous = newest.as_ref().map(|part| part.key.clone());
        let part = append(&store, number, &piece, offset, previous.clone(), whole - bytes.len() + 1).await;
        bytes.extend(piece);
        newest = Some(match previous {
            Some(previous) if at % 2 == 1 => {
                let list = [previous, part.key];
                let joined = join_parts(&store, &Scope::root(), &session(), number - 1, &list).await.expect("a join");
                assert!(joined.size <= bytes.len() as u64);
                joined
            }
            _ => part,
        });
        store.settle().await;
        let traffic = store.traffic();
        assert_eq!((traffic.read_back, traffic.caught_up), (0, 0), "append {at}");
    }
    let store = store_at(&server, &bucket, None, 40 * MIB).await;
    let mut parts = store.list_parts(&Scope::root(), &session(), None, 1_000).await.unwrap().entries;
    parts.sort_by_key(|part| std::cmp::Reverse(part.key.number));
    assert_eq!(parts.len(), sizes.len() / 2);
    let keys: Vec<TempKey> = parts.into_iter().map(|part| part.key).collect();
    let file = FileId::parse("file").unwrap();
    let made = assemble_final(&store, &Scope::root(), &file, &keys, options(None, IfExists::Fail)).await.unwrap();
    assert_eq!((made.size, made.sha256), (bytes.len() as u64, sha256(&bytes)));
    assert!(read(&store, &Scope::root(), &made.key).await.unwrap() == bytes);
    assert_eq!((store.traffic().read_back, store.traffic().caught_up), (0, 0));
    assert_clean(&server, &bucket, &store).await;
}

/// Content that may end early and fits one piece is one request, whether it ends early or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_one_piece_is_one_request() {
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let proxy = FaultProxy::start(&server).await;
    let store = store_at(&server, &bucket, Some(&proxy), 40 * MIB).await;
    for (number, (sent, most)) in
        (0..).zip([(PART_SIZE_MIN, PART_SIZE_MIN), (100_000, PART_SIZE_MIN), (PART_SIZE_MIN - 1, 8 * PART_SIZE_MIN)])
    {
        append(&store, number, &content(sent, 1), 0, None, most).await;
    }
    let seen = proxy.seen();
    let of_data = |line: &&String| line.contains("/temp/");
    let data: Vec<&String> = seen.iter().filter(of_data).collect();
    assert_eq!(data.len(), 3, "{data:#?}");
    assert!(data.iter().all(|line| line.starts_with("PUT ") && !line.contains("uploadId")), "{data:#?}");
    // One byte more than a piece is an upload of two.
    append(&store, 9, &content(PART_SIZE_MIN + 1, 2), 0, None, 2 * PART_SIZE_MIN).await;
    assert!(proxy.seen().iter().any(|line| line.contains("/temp/") && line.contains("uploadId")));
    assert_clean(&server, &bucket, &store).await;
}

/// A client that stalls while others wait for its memory loses that memory, and keeps what it has sent.
#[tokio::test(flavor = "multi_thread")]
async fn evicted_appends_keep_what_had_arrived() {
    const SENT: usize = 1_300_000;
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let store = Arc::new(store_at(&server, &bucket, None, 4 * PART_SIZE_MIN).await);
    let mut stalled = JoinSet::new();
    for at in 0..24 {
        let store = store.clone();
        let options = keeping((at % 2 == 0).then_some(12 * MIB), 0, None);
        stalled.spawn(async move {
            let mut source = Stalled(Framed::new(&content(SENT, at)));
            put_part(&*store, &Scope::root(), &session(), at as u32, &mut source, options).await
        });
    }
    // The stalled clients hold all memory once one of them is evicted.
    let first = stalled.join_next().await.unwrap().unwrap();
    let bytes = content(12 * MIB, 99);
    let source = &mut Framed::new(&bytes);
    let whole = put_part(&*store, &Scope::root(), &session(), 99, source, keeping(None, 0, None)).await;
    let whole = whole.expect("a part");
    assert_eq!((whole.size, whole.is_prefix), (bytes.len() as u64, false));
    let mut evicted = vec![first];
    evicted.extend(std::iter::from_fn(|| stalled.try_join_next()).map(|ended| ended.unwrap()));
    for part in evicted {
        let part = part.expect("a prefix");
        assert_eq!((part.size, part.is_prefix), (SENT as u64, true));
        let mut stream = store.read_part(&Scope::root(), &part.key, Default::default()).await.unwrap();
        let found = portico_store::stream::collect(&mut *stream, SENT).await.unwrap();
        assert!(found == content(SENT, part.key.number.into()));
    }
    stalled.shutdown().await;
    assert_clean(&server, &bucket, &store).await;
}

/// A host whose first request of a kind for a part's slot is delayed.
struct Delayed {
    proxy: FaultProxy,
    store: Arc<S3Store>,
    method: &'static str,
    _server: Server,
}

impl Delayed {
    async fn new(method: &'static str, delay: Duration) -> Delayed {
        let server = Server::s3s().await;
        let bucket = server.bucket().await;
        let proxy = FaultProxy::start(&server).await;
        let store = Arc::new(store_at(&server, &bucket, Some(&proxy), 40 * MIB).await);
        proxy.only(move |line| line.starts_with(method) && line.contains("/part/"));
        proxy.plan(1, Fault::Delay(delay));
        Delayed { proxy, store, method, _server: server }
    }

    /// Starts a put, and returns once its delayed request has been sent.
    async fn put(&self, mut source: impl ByteStream + 'static) -> tokio::task::JoinHandle<Result<PartReceipt>> {
        let store = self.store.clone();
        let put = tokio::spawn(async move {
            put_part(&*store, &Scope::root(), &session(), 1, &mut source, keeping(None, 0, None)).await
        });
        let is_sent = |line: &String| line.starts_with(self.method) && line.contains("/part/");
        let sent = async {
            while !self.proxy.seen().iter().any(is_sent) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(SOON, sent).await.expect("a request in time");
        put
    }

    async fn interrupt(&self) {
        let (scope, session) = (Scope::root(), session());
        tokio::time::timeout(SOON, self.store.interrupt(&scope, &session)).await.expect("in time").unwrap();
    }
}

/// An interrupt that meets a commit waits for it, and ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_waits_for_a_commit() {
    let delayed = Delayed::new("PUT ", Duration::from_secs(2)).await;
    let put = delayed.put(Framed::new(&content(100_000, 1))).await;
    delayed.interrupt().await;
    let parts = delayed.store.list_parts(&Scope::root(), &session(), None, 10).await.unwrap().entries;
    assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [100_000]);
    let part = put.await.unwrap().expect("a part");
    assert!(!part.is_prefix && part.key == parts[0].key);
}

/// An interrupt that meets a put before its content waits for the put, which keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_put_before_its_content() {
    let delayed = Delayed::new("GET ", Duration::from_secs(2)).await;
    let put = delayed.put(Stalled(Framed::new(&content(100_000, 1)))).await;
    delayed.interrupt().await;
    let put = put.await.unwrap();
    assert!(matches!(put, Err(Error::Interrupted { received: 0 })), "{put:?}");
    let parts = delayed.store.list_parts(&Scope::root(), &session(), None, 10).await.unwrap().entries;
    assert!(parts.is_empty());
}

/// An interrupt does not wait for a server that does not respond.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_does_not_hang() {
    let delayed = Delayed::new("GET ", LONG).await;
    let put = delayed.put(Stalled(Framed::new(&content(100_000, 1)))).await;
    let began = Instant::now();
    delayed.interrupt().await;
    assert!(began.elapsed() >= limits::KEEP_PREFIX_WAIT);
    let put = tokio::time::timeout(2 * LONG, put).await.expect("in time").unwrap();
    // The put ends by its own time limit, or by the interrupt.
    assert!(put.is_err(), "{put:?}");
}
