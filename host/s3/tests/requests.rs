//! Counts the requests of an operation.

mod support;

use portico_s3::S3Store;
use portico_store::{
    Backend, ByteRange, Cursor, FileId, IfExists, ListedPart, Page, Result, Scope, TempKey, Token, limits, put_final,
    stream,
};
use portico_test_servers::{FaultProxy, Server};
use support::parts::{Parts, session};
use support::{content, options};

/// Two hosts on one bucket. The requests of the second are counted.
struct World {
    server: Server,
    bucket: String,
    writer: S3Store,
    reader: S3Store,
    proxy: FaultProxy,
}

impl World {
    async fn new() -> World {
        let server = Server::s3s().await;
        let bucket = server.bucket().await;
        let proxy = FaultProxy::start(&server).await;
        let writer = S3Store::open(server.options(&bucket)).await.unwrap();
        let mut options = server.options(&bucket);
        options.endpoint = Some(proxy.endpoint().to_owned());
        let reader = S3Store::open(options).await.unwrap();
        World { server, bucket, writer, reader, proxy }
    }

    /// Runs an operation of the second host. Returns its result and its requests.
    async fn requests<T>(&self, operation: impl Future<Output = Result<T>>) -> (T, Vec<String>) {
        let before = self.proxy.seen().len();
        let done = operation.await.unwrap();
        (done, self.proxy.seen().split_off(before))
    }

    async fn list(&self, after: Option<&Cursor>, limit: u32) -> (Page<ListedPart>, Vec<String>) {
        self.requests(self.reader.list_parts(&Scope::root(), &session(), after, limit)).await
    }
}

fn file(number: usize) -> FileId {
    FileId::parse(&format!("file-{number:03}")).unwrap()
}

fn is_listing(line: &str) -> bool {
    line.contains("list-type")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_makes_two() {
    let world = World::new().await;
    let (scope, bytes) = (Scope::root(), content(300_000, 1));
    let source = &mut stream::from_bytes(bytes.clone());
    put_final(&world.writer, &scope, &file(1), source, options(None, IfExists::Fail)).await.unwrap();
    for range in [ByteRange::default(), ByteRange { start: 5, end: Some(200_000) }] {
        let download = async {
            let reader = world.reader.open_final(&scope, &file(1)).await?;
            stream::collect(&mut *reader.stream(range).await?, 1 << 20).await
        };
        let (found, requests) = world.requests(download).await;
        let (start, end) = range.within(300_000).unwrap();
        assert!(found == bytes[start as usize..end as usize]);
        assert_eq!(requests.len(), 2, "{requests:#?}");
        assert!(requests[0].contains("/receipt/") && requests[1].contains("/final/"), "{requests:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_parts_reads_no_slot() {
    let world = World::new().await;
    let parts = Parts::of(&[70_000; 30]);
    let keys = parts.put_all(&[&world.writer], &(0..30).rev().collect::<Vec<_>>()).await;
    // Deletes one part and puts it again.
    world.writer.delete_part(&Scope::root(), &keys[7]).await.unwrap();
    parts.put(&world.writer, 7).await.unwrap();
    // Until then the background hasher writes into slots.
    world.writer.caught_up().await;
    world.writer.settle().await;
    let (page, requests) = world.list(None, 1_000).await;
    assert_eq!(page.entries.iter().map(|part| part.key.number).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    for part in &page.entries {
        let receipt = world.writer.stat_part(&Scope::root(), &part.key).await.unwrap();
        assert_eq!((receipt.size, part.size), (70_000, 70_000));
    }
    assert!(requests.len() == 3 && requests.iter().all(|line| is_listing(line)), "{requests:#?}");

    // A number with data without a receipt: its slot is read.
    let (key, bucket) = (TempKey { token: Token::random().unwrap(), ..keys[3].clone() }, &world.bucket);
    let orphan = format!("store/temp/{}/{}!{:010}!{}", Scope::root(), key.session, key.number, key.token);
    world.server.client().put_object().bucket(bucket).key(orphan).body(vec![b'x'; 10].into()).send().await.unwrap();
    let (again, requests) = world.list(None, 1_000).await;
    assert_eq!(without_offsets(&again.entries), page.entries);
    let (listings, reads): (Vec<&String>, Vec<&String>) = requests.iter().partition(|line| is_listing(line));
    assert_eq!((listings.len(), reads.len()), (3, 1), "{requests:#?}");

    // A short page reads its slots: two more listings would cost as many requests.
    let (short, requests) = world.list(None, 2).await;
    assert_eq!((&*without_offsets(&short.entries), requests.len()), (&page.entries[..2], 3), "{requests:#?}");
    assert!(short.entries.iter().all(|part| part.offset.is_some()), "the slots say the offsets");
}

/// A listing knows the offsets of those parts whose slots it reads.
fn without_offsets(parts: &[ListedPart]) -> Vec<ListedPart> {
    parts.iter().map(|part| ListedPart { offset: None, ..part.clone() }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_many_parts_makes_few() {
    let world = World::new().await;
    let parts = Parts::of(&[10; 1_100]);
    parts.put_all(&[&world.writer], &(0..1_100).collect::<Vec<_>>()).await;
    world.writer.settle().await;
    let (first, requests) = world.list(None, 900).await;
    assert_eq!(first.entries.len(), 900);
    assert!(requests.len() == 3 && requests.iter().all(|line| is_listing(line)), "{requests:#?}");
    let (last, requests) = world.list(first.next.as_ref(), 900).await;
    assert_eq!((last.entries.len(), last.next), (200, None));
    assert!(requests.len() == 3 && requests.iter().all(|line| is_listing(line)), "{requests:#?}");
    // A page as long as one listing. Another listing shows whether more slots follow. The data of the last number would
    // cost one more, so its slot is read instead.
    let (longest, requests) = world.list(None, limits::PAGE_MAX).await;
    assert_eq!((longest.entries.len(), requests.len()), (1_000, 5), "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_objects_makes_one() {
    let world = World::new().await;
    let scope = Scope::root();
    for number in 0..20 {
        let source = &mut stream::from_bytes("content");
        put_final(&world.writer, &scope, &file(number), source, options(None, IfExists::Fail)).await.unwrap();
    }
    let (page, requests) = world.requests(world.reader.list_finals(&scope, None, 1_000)).await;
    assert_eq!(page.entries, (0..20).map(file).collect::<Vec<_>>());
    assert_eq!(requests.len(), 1, "{requests:#?}");
    let (receipts, requests) = world.requests(world.reader.stat_finals(&scope, &page.entries)).await;
    assert_eq!(receipts.into_iter().flatten().count(), 20);
    assert_eq!(requests.len(), 20, "{requests:#?}");
}
