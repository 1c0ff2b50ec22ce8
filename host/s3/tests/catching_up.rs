//! Parts that arrive out of order are hashed in the background while others arrive, and no operation waits for that.

mod support;

use portico_s3::S3Store;
use portico_store::{Backend, Error, Expected, PartOptions, Scope, SessionId, TempKey, Upload};
use portico_test_servers::{Fault, FaultProxy, Lies, Server};
use std::time::Duration;
use support::parts::{BACKWARDS, LANES, MIXED, Parts, SIZES, session};
use support::{MIB, audit, content, sha256, sized};
use tokio::task::JoinSet;

/// Time limit of everything that must end by itself, shorter than any delay of a request.
const SOON: Duration = Duration::from_secs(20);

/// Delay of a request that no operation may wait for.
const LONG: Fault = Fault::Delay(Duration::from_secs(40));

/// A server, with hosts on one of its buckets.
struct World {
    server: Server,
    bucket: String,
}

impl World {
    async fn new(server: Server) -> World {
        let bucket = server.bucket().await;
        World { server, bucket }
    }

    async fn host(&self) -> S3Store {
        self.host_at(None, false).await
    }

    async fn host_at(&self, endpoint: Option<&FaultProxy>, single_runner: bool) -> S3Store {
        let mut options = self.server.options(&self.bucket);
        options.part_size = 5 * MIB;
        options.single_runner = single_runner;
        if let Some(proxy) = endpoint {
            options.endpoint = Some(proxy.endpoint().to_owned());
        }
        S3Store::open(options).await.expect("the store opens")
    }

    /// Checks that no garbage remains.
    async fn audit(&self, hosts: &[&S3Store]) {
        for host in hosts {
            host.settle().await;
        }
        for _ in 0..2 {
            self.server.advance(Duration::from_secs(25 * 60 * 60));
            hosts[0].sweep().await.unwrap();
        }
        let left = audit::left(&self.server.client(), &self.bucket).await;
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

fn is_reading(line: &str) -> bool {
    line.starts_with("GET ") && line.contains("/temp/")
}

/// Waits for the nth read of a part's data through a proxy.
async fn reads(proxy: &FaultProxy, nth: usize) {
    let reads = async {
        while proxy.seen().iter().filter(|line| is_reading(line)).count() < nth {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, reads).await.expect("a read in time");
}

/// Delays the nth read of a part's data.
fn hold(proxy: &FaultProxy, nth: usize, fault: Fault) {
    proxy.only(is_reading);
    proxy.plan(nth as u64, fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_nothing_is_read_at_all() {
    let world = World::new(Server::s3s().await).await;
    let proxy = FaultProxy::start(&world.server).await;
    let store = world.host_at(Some(&proxy), false).await;
    let parts = Parts::of(&SIZES);
    let keys = parts.put_all(&[&store], &[0, 1, 2, 3, 4, 5, 6, 7]).await;
    store.caught_up().await;
    let slots = |method: &str| {
        let is_slot = |line: &&String| line.starts_with(method) && line.contains("/part/");
        proxy.seen().iter().filter(is_slot).count()
    };
    assert_eq!((slots("PUT "), slots("GET ")), (8, 8), "no request more than each part's own");
    assert_eq!(parts.read_back(&store, &keys).await, 0);
    assert_eq!(store.traffic().caught_up, 0);
    world.audit(&[&store]).await;
}

/// Parts that have arrived side by side are hashed in sequence from memory, while the server is slow.
#[tokio::test(flavor = "multi_thread")]
async fn content_in_memory_is_not_read_back() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let world = World::new(Server::s3s().await).await;
        let proxy = FaultProxy::start(&world.server).await;
        proxy.only(|line| line.starts_with("PUT ") && line.contains("/temp/"));
        proxy.plan_all(1, Fault::Delay(Duration::from_secs(1)));
        let store = world.host_at(Some(&proxy), false).await;
        let parts = Parts::of(&[70_000, 5 * MIB, 1, 300_000]);
        let mut uploads = Vec::new();
        for at in order {
            uploads.push((at, parts.arrived(&store, at, parts.options(at)).await));
        }
        let mut keys = vec![None; 4];
        let mut ends: JoinSet<_> = uploads
            .into_iter()
            .map(|(at, upload)| async move { (at, upload.finish(Expected::default()).await) })
            .collect();
        while let Some(ended) = ends.join_next().await {
            let (at, put) = ended.unwrap();
            keys[at] = Some(put.expect("a part").key);
        }
        let keys: Vec<TempKey> = keys.into_iter().flatten().collect();
        store.caught_up().await;
        assert_eq!(parts.read_back(&store, &keys).await, 0, "{order:?}");
        assert_eq!(store.traffic().caught_up, 0, "{order:?}");
        world.audit(&[&store]).await;
    }
}

/// A refused part is no base for the hash of the following part.
#[tokio::test(flavor = "multi_thread")]
async fn refused_content_is_no_base() {
    let world = World::new(Server::s3s().await).await;
    let store = world.host().await;
    let parts = Parts::of(&[70_000, 80_000, 90_000]);
    let mut keys = vec![parts.put(&store, 0).await.unwrap().key];
    // The right size, with content that does not match its digest.
    let other = Parts(vec![parts.0[0].clone(), content(80_000, 77), parts.0[2].clone()]);
    let mut options = parts.options(1);
    options.expected.sha256 = Some(sha256(&parts.0[1]));
    let last = parts.arrived(&store, 2, parts.options(2)).await;
    let wrong = other.arrived(&store, 1, options).await;
    let (wrong, last) = tokio::join!(wrong.finish(Expected::default()), last.finish(Expected::default()));
    assert!(matches!(wrong, Err(Error::DigestMismatch)), "{wrong:?}");
    keys.extend([parts.put(&store, 1).await.unwrap().key, last.unwrap().key]);
    store.caught_up().await;
    assert_eq!(parts.read_back(&store, &keys).await, 0);
    world.audit(&[&store]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_their_chains() {
    for order in [BACKWARDS, LANES, MIXED] {
        let world = World::new(Server::s3s().await).await;
        let hosts = [world.host().await, world.host().await, world.host().await];
        let parts = Parts::of(&SIZES);
        let keys = parts.put_all(&[&hosts[0], &hosts[1]], &order).await;
        for host in &hosts[..2] {
            host.caught_up().await;
        }
        assert_eq!(parts.read_back(&hosts[2], &keys).await, 0, "{order:?}");
        world.audit(&[&hosts[0], &hosts[1], &hosts[2]]).await;
    }
}

/// Where a late write could undo a deletion, the chain is not written, and only this process has it.
#[tokio::test(flavor = "multi_thread")]
async fn without_conditional_writes_chains_stay_in_memory() {
    let lies = Lies { ignores_if_match: true, ..Lies::default() };
    let world = World::new(Server::lying(lies).await).await;
    let proxy = FaultProxy::start(&world.server).await;
    let store = world.host_at(Some(&proxy), true).await;
    let parts = Parts::of(&SIZES);
    let keys = parts.put_all(&[&store], &BACKWARDS).await;
    store.caught_up().await;
    let slots = proxy.seen().iter().filter(|line| line.starts_with("PUT ") && line.contains("/part/")).count();
    assert_eq!(slots, 8);
    assert_eq!(parts.read_back(&store, &keys).await, 0);
    world.audit(&[&store]).await;
}

/// A part is replaced while it is read. Its hash is of no use then.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_goes_meanwhile_does_no_harm() {
    // The part that is replaced, and the read at which it is: of itself, of its predecessor, of its successor.
    for (gone, nth, by_other) in [(2, 2, false), (2, 2, true), (2, 1, false), (2, 3, true), (0, 1, false), (3, 1, true)]
    {
        let world = World::new(Server::s3s().await).await;
        let proxy = FaultProxy::start(&world.server).await;
        hold(&proxy, nth, Fault::Delay(Duration::from_millis(300)));
        let (store, other) = (world.host_at(Some(&proxy), false).await, world.host().await);
        let mut parts = Parts::of(&[70_000; 4]);
        let mut keys = parts.put_all(&[&store], &[3, 2, 1, 0]).await;
        reads(&proxy, nth).await;
        let host = if by_other { &other } else { &store };
        assert!(host.delete_part(&Scope::root(), &keys[gone]).await.unwrap());
        parts.0[gone] = content(70_000, 77);
        keys[gone] = parts.put(host, gone).await.unwrap().key;
        store.caught_up().await;
        other.caught_up().await;
        let read_back = parts.read_back(&store, &keys).await;
        assert!(read_back < 4 * 70_000, "{gone} at {nth}: {read_back}");
        world.audit(&[&store, &other]).await;
    }
}

/// Another process assembles the parts, or deletes the session, while a part is read. The write of its chain comes too
/// late, or does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_ends_the_parts_meanwhile() {
    for (nth, assembles) in [(1, true), (2, true), (3, true), (1, false), (2, false)] {
        let world = World::new(Server::s3s().await).await;
        let proxy = FaultProxy::start(&world.server).await;
        hold(&proxy, nth, Fault::Delay(Duration::from_millis(100)));
        let (store, other) = (world.host_at(Some(&proxy), false).await, world.host().await);
        let parts = Parts::of(&[70_000; 4]);
        let keys = parts.put_all(&[&store], &[3, 2, 1, 0]).await;
        reads(&proxy, nth).await;
        if assembles {
            parts.read_back(&other, &keys).await;
        } else {
            assert_eq!(other.delete_session(&Scope::root(), &session()).await.unwrap(), 4);
        }
        store.caught_up().await;
        let left = store.list_parts(&Scope::root(), &session(), None, 10).await.unwrap().entries;
        assert!(left.is_empty(), "{nth}: {left:?}");
        world.audit(&[&store, &other]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_waits_for_the_background() {
    type End = fn(&S3Store) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;
    let ends: [(&str, End); 3] = [
        ("delete", |store| {
            Box::pin(async move {
                assert_eq!(store.delete_session(&Scope::root(), &session()).await.unwrap(), 3);
            })
        }),
        ("settle", |store| Box::pin(store.settle())),
        ("put", |store| {
            Box::pin(async move {
                Parts::of(&[1_000, 2_000, 3_000, 4_000]).put(store, 3).await.unwrap();
            })
        }),
    ];
    for (name, end) in ends {
        let world = World::new(Server::s3s().await).await;
        let proxy = FaultProxy::start(&world.server).await;
        hold(&proxy, 2, LONG);
        let store = world.host_at(Some(&proxy), false).await;
        Parts::of(&[1_000, 2_000, 3_000]).put_all(&[&store], &[2, 1, 0]).await;
        reads(&proxy, 2).await;
        assert!(tokio::time::timeout(SOON, end(&store)).await.is_ok(), "{name} waits");
    }
}

/// A write of a background hasher has ended when the store is settled, so the bucket does not change after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_settled_store_writes_nothing() {
    let world = World::new(Server::s3s().await).await;
    let proxy = FaultProxy::start(&world.server).await;
    let is_slot = |line: &str| line.starts_with("PUT ") && line.contains("/part/");
    proxy.only(is_slot);
    // Each part has one write, and then comes the chain of the second part.
    proxy.plan(4, Fault::Delay(Duration::from_secs(2)));
    let store = world.host_at(Some(&proxy), false).await;
    let parts = Parts::of(&[1_000, 2_000, 3_000]);
    let keys = parts.put_all(&[&store], &[2, 1, 0]).await;
    let writes = async {
        while proxy.seen().iter().filter(|line| is_slot(line)).count() < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, writes).await.expect("a write in time");
    store.settle().await;
    let listed = || async {
        let listing = world.server.client().list_objects_v2().bucket(&world.bucket).send().await.expect("a listing");
        let told = |object: &aws_sdk_s3::types::Object| (object.key.clone(), object.size, object.e_tag.clone());
        listing.contents().iter().map(told).collect::<Vec<_>>()
    };
    let settled = listed().await;
    proxy.idle().await;
    assert_eq!(listed().await, settled);
    assert!(parts.read_back(&store, &keys).await < 6_000);
    world.audit(&[&store]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assembly_reads_unfinished_parts_from_their_beginning() {
    let world = World::new(Server::s3s().await).await;
    let proxy = FaultProxy::start(&world.server).await;
    // The first part is hashed on its way, the second by one request; two pieces of the third are read.
    hold(&proxy, 4, LONG);
    let store = world.host_at(Some(&proxy), false).await;
    let parts = Parts::of(&[1_000, 2_000, 15 * MIB, 3_000]);
    let keys = parts.put_all(&[&store], &[3, 2, 1, 0]).await;
    reads(&proxy, 4).await;
    let assembly = tokio::time::timeout(SOON, parts.read_back(&store, &keys));
    assert_eq!(assembly.await.expect("an assembly in time"), (15 * MIB + 3_000) as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_pauses_while_uploads_need_the_memory() {
    let world = World::new(Server::s3s().await).await;
    let mut options = world.server.options(&world.bucket);
    (options.part_size, options.memory) = (5 * MIB, 20 * MIB);
    let store = S3Store::open(options).await.expect("the store opens");
    // All arriving memory.
    let scope = Scope::root();
    let mut stalled = Vec::new();
    for at in 0..10 {
        let session = SessionId::parse(&format!("stalled-{at}")).unwrap();
        let options = PartOptions { expected: sized(Some(2 * MIB)), ..Default::default() };
        let mut upload = Upload::part(&store, &scope, &session, 0, options).await.unwrap();
        upload.write(content(MIB, 1).into()).await.unwrap();
        stalled.push(upload);
    }
    let parts = Parts::of(&[1_000, 2_000, 3_000]);
    let keys = parts.put_all(&[&store], &[2, 1, 0]).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), store.caught_up()).await.is_err());
    assert_eq!(store.traffic().caught_up, 0);
    drop(stalled);
    store.caught_up().await;
    assert_eq!(parts.read_back(&store, &keys).await, 0);
}
