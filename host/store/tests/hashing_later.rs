//! A part is acknowledged when it is there, and hashed to its end while the next one comes.

mod support;

use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{Backend, Expected, PartOptions, Sha256, TempKey, Upload};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::hold::{Hold, SOON};
use support::parts::{MIB, Parts, read_back};
use support::{content, options, part, scope, session};

/// Nothing is synced, so that the hashing does not come to its end meanwhile.
const FAST: LocalOptions = LocalOptions {
    durability: Durability::None,
    max_object_size: portico_store::limits::OBJECT_SIZE_MAX,
    lock_wait: SOON,
};

/// Bytes of a part: enough that hashing it takes longer than writing it.
const SIZE: usize = 8 * MIB;

/// Most parts that are tried until one is acknowledged before it is hashed, on a machine that does other things.
const TRIES: usize = 100;

/// Parts of which the last one is still being hashed.
struct Pending {
    store: LocalStore,
    /// What would be noted of it waits.
    hold: Arc<Hold>,
    parts: Parts,
    keys: Vec<TempKey>,
}

impl Pending {
    async fn new(path: &Path) -> Self {
        let (store, hold) = Hold::open(path, "note", 0, FAST).await;
        let mut this = Pending { store, hold, parts: Parts(Vec::new()), keys: Vec::new() };
        // So that what is pending comes behind something whose state is known, as most parts do.
        this.put(1_000).await;
        while this.store.counters().hash_later == 0 {
            assert!(this.keys.len() < TRIES, "each part was hashed when it was acknowledged");
            this.put(SIZE).await;
        }
        this.hold.reached().await;
        this
    }

    /// Puts one more part of that size.
    async fn put(&mut self, size: usize) {
        let at = self.keys.len();
        self.parts.0.push(content(at as u8 + 1, size));
        self.keys.push(self.parts.put(&self.store, at).await);
    }

    fn options(&self, size: usize) -> PartOptions {
        options(Some(self.parts.size()), size)
    }

    /// Goes on with what waits, and assembles.
    async fn read_back(self) -> u64 {
        self.hold.release();
        self.store.caught_up().await;
        read_back(&self.store, &self.parts, &self.keys).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_nothing_is_read_back_whoever_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path(), FAST).await.unwrap();
    let mut parts = Parts(Vec::new());
    let mut keys = Vec::new();
    while parts.0.len() < 6 || store.counters().hash_later == 0 {
        let at = parts.0.len();
        assert!(at < TRIES, "each part was hashed when it was acknowledged");
        // Small ones among them, which are hashed before they are acknowledged.
        parts.0.push(content(at as u8 + 1, if at % 3 == 1 { 1_000 } else { SIZE + at }));
        keys.push(parts.put(&store, at).await);
    }
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
    assert_eq!(store.counters().hash_caught_up, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assembly_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let Pending { store, hold, parts, keys } = Pending::new(dir.path()).await;
    let mut assembly = std::pin::pin!(read_back(&store, &parts, &keys));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut assembly).await;
    assert!(early.is_err(), "it read back what was about to be known");
    hold.release();
    assert_eq!(tokio::time::timeout(SOON, assembly).await.expect("it goes on"), 0);
    assert_eq!(store.counters().hash_caught_up, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_parts_go_on_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    for size in [SIZE, 10, SIZE, 0, MIB] {
        pending.put(size).await;
    }
    assert_eq!(pending.store.counters().hash_caught_up, 0);
    assert_eq!(pending.read_back().await, 0);
}

/// What comes out of order makes the catcher look for something to do: it finds what is pending, and leaves it alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_catcher_does_not_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    let (first, size) = (pending.keys.len(), 1_000);
    for at in 0..5 {
        pending.parts.0.push(content(at as u8 + 100, size));
    }
    let mut behind = Vec::new();
    for at in (first + 1..first + 5).rev() {
        behind.insert(0, pending.parts.put(&pending.store, at).await);
    }
    pending.hold.release();
    pending.store.caught_up().await;
    pending.keys.push(pending.parts.put(&pending.store, first).await);
    pending.keys.extend(behind);
    pending.store.caught_up().await;
    assert_eq!(pending.store.counters().hash_caught_up, 4 * size as u64);
    assert_eq!(pending.read_back().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_of_its_own_is_that_of_the_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    for size in [SIZE, 10] {
        let next = content(99, size);
        let options = PartOptions { want_sha256: true, ..pending.options(size) };
        let number = pending.keys.len() as u32 + 1;
        let mut upload = Upload::part(&pending.store, &scope(), &session("s"), number, options).await.unwrap();
        upload.write(next.clone().into()).await.unwrap();
        let receipt = upload.finish(Expected::default()).await.unwrap();
        let mut sha256 = Sha256::new();
        sha256.update(&next);
        assert_eq!(receipt.sha256, Some(sha256.finish()));
        pending.parts.0.push(next);
        pending.keys.push(receipt.key);
    }
    assert_eq!(pending.read_back().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_part_may_fail() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    let number = pending.keys.len() as u32 + 1;
    let options = pending.options(SIZE);
    let mut upload = Upload::part(&pending.store, &scope(), &session("s"), number, options).await.unwrap();
    upload.write(content(55, 3 * MIB).into()).await.unwrap();
    drop(upload);
    pending.put(SIZE).await;
    pending.put(SIZE).await;
    pending.hold.release();
    pending.store.caught_up().await;
    let caught_up = pending.store.counters().hash_caught_up;
    assert!(caught_up <= 2 * SIZE as u64, "what was pending is not read: {caught_up}");
    assert_eq!(pending.read_back().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_deleted_and_another_put_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    pending.put(SIZE).await;
    let at = pending.keys.len() - 2;
    assert!(pending.store.delete_part(&scope(), &pending.keys[at]).await.unwrap());
    pending.parts.0[at] = content(77, SIZE);
    pending.keys[at] = pending.parts.put(&pending.store, at).await;
    pending.put(SIZE).await;
    let size = pending.parts.size();
    assert!(pending.read_back().await < size);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_deleted_part_nobody_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = Pending::new(dir.path()).await;
    let at = pending.keys.len() - 1;
    assert!(pending.store.delete_part(&scope(), &pending.keys[at]).await.unwrap());
    pending.parts.0[at] = content(77, SIZE);
    pending.keys[at] = pending.parts.put(&pending.store, at).await;
    pending.put(SIZE).await;
    assert_eq!(pending.read_back().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_cleared_meanwhile_and_its_names_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let Pending { store, hold, keys, .. } = Pending::new(dir.path()).await;
    hold.release();
    let cleared = tokio::time::timeout(SOON, store.delete_session(&scope(), &session("s"))).await;
    assert_eq!(cleared.expect("it ends").unwrap() as usize, keys.len());
    assert!(!dir.path().join("temp/main/s").exists());
    let parts = Parts::of(&[SIZE + 1, 3, SIZE]);
    let keys = parts.put_all(&store, 0..3).await;
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_meanwhile_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let Pending { store, hold, parts, mut keys } = Pending::new(dir.path()).await;
    drop(store);
    hold.release();
    let store = LocalStore::open(dir.path(), FAST).await.expect("nobody has the folder any more");
    let next = content(9, 1_000);
    let number = keys.len() as u32 + 1;
    let receipt = part(&store, "s", number, Some(parts.size()), next.clone()).await.unwrap();
    keys.push(receipt.key);
    let parts = Parts(parts.0.into_iter().chain([next]).collect());
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
}

/// Three clients put the parts of one session, each its own in order. Some are cut off and begun again, some deleted and put
/// again with other content. At once after the last of them the digest of the whole is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_clients_do_side_by_side_the_digest_is_right() {
    const CLIENTS: usize = 3;
    const PARTS: usize = 12;
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let sizes: Vec<usize> = (0..PARTS).map(|_| random.usize(MIB / 2..3 * MIB)).collect();
        let parts = Parts::of(&sizes);
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path(), FAST).await.unwrap());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (store, mut random) = (store.clone(), random.fork());
                let mine: Vec<_> =
                    (client..PARTS).step_by(CLIENTS).map(|at| (at, parts.offset(at), parts.0[at].clone())).collect();
                tokio::spawn(async move {
                    let mut put = Vec::new();
                    for (at, offset, content) in mine {
                        put.push(put_somehow(&store, &mut random, at, offset, content).await);
                    }
                    put
                })
            })
            .collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.unwrap());
        }
        all.sort_by_key(|(at, ..)| *at);
        let (contents, keys): (Vec<_>, Vec<_>) = all.into_iter().map(|(_, content, key)| (content, key)).unzip();
        // It compares the digest.
        read_back(&store, &Parts(contents), &keys).await;
    }
}

/// Puts a part, maybe not at once, and maybe another one in the end. Answers what is there then.
async fn put_somehow(
    store: &LocalStore,
    random: &mut fastrand::Rng,
    at: usize,
    offset: u64,
    mut bytes: Vec<u8>,
) -> (usize, Vec<u8>, TempKey) {
    let number = at as u32 + 1;
    if random.u8(..) < 80 {
        let options = options(Some(offset), bytes.len());
        let mut upload = Upload::part(store, &scope(), &session("s"), number, options).await.unwrap();
        upload.write(bytes[..random.usize(..bytes.len())].to_vec().into()).await.unwrap();
    }
    let mut key = part(store, "s", number, Some(offset), bytes.clone()).await.unwrap().key;
    while random.u8(..) < 80 {
        assert!(store.delete_part(&scope(), &key).await.unwrap());
        bytes = content(random.u8(..), bytes.len());
        key = part(store, "s", number, Some(offset), bytes.clone()).await.unwrap().key;
    }
    (at, bytes, key)
}
