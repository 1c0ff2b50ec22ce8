//! Parts that come out of order are hashed while others still arrive, and nobody waits for that.

mod support;

use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{
    Backend, Digest, Expected, FileId, FinalOptions, PartOptions, TempKey, Upload, assemble_final, limits,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::hold::{Hold, SOON};
use support::parts::{MIB, Parts, read_back};
use support::{content, file, open, options, part, scope, session};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_nothing_is_left_to_read_back() {
    // More than a step of the catcher, less, and nothing.
    let sizes = [300_000, 9 * MIB, 1, 0, 70_000, 300_000, 5 * MIB, 1_000, 64, 300_001, 0, 200_000];
    let parts = Parts::of(&sizes);
    let four_lanes: Vec<usize> = (0..3).flat_map(|lane| (0..4).rev().map(move |at| lane * 4 + at)).collect();
    let lanes_apart: Vec<usize> = (0..3).flat_map(|at| [9, 6, 3, 0].map(|lane| lane + at)).collect();
    let backwards: Vec<usize> = (0..12).rev().collect();
    let mixed = vec![5, 0, 11, 2, 1, 10, 7, 3, 9, 6, 4, 8];
    let orders = [("four lanes", four_lanes), ("lanes apart", lanes_apart), ("backwards", backwards), ("mixed", mixed)];
    for (durability, (what, order)) in [Durability::Full, Durability::None]
        .into_iter()
        .flat_map(|durability| orders.clone().map(|order| (durability, order)))
    {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), LocalOptions { durability, ..LocalOptions::default() }).await.unwrap();
        let keys = parts.put_all(&store, order).await;
        store.caught_up().await;
        let caught_up = store.counters().hash_caught_up;
        assert!(caught_up > 0 && caught_up < parts.size(), "{what}: each byte once, and some on the way: {caught_up}");
        assert_eq!(read_back(&store, &parts, &keys).await, 0, "{what}, {durability:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_nothing_is_read_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let parts = Parts::many(8, 100_000);
    let keys = parts.put_all(&store, 0..8).await;
    store.caught_up().await;
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
    assert_eq!(store.counters().hash_caught_up, 0);
}

/// Four at a time, each of which begins with the next part when it is done with one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_in_parallel_are_caught_up_with() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await.unwrap());
    let parts = Arc::new(Parts::many(64, 200_000));
    let next = Arc::new(AtomicUsize::new(0));
    let lanes: Vec<_> = (0..4)
        .map(|_| {
            let (store, parts, next) = (store.clone(), parts.clone(), next.clone());
            tokio::spawn(async move {
                let mut keys = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= parts.0.len() {
                        return keys;
                    }
                    keys.push(parts.put(&store, at).await);
                }
            })
        })
        .collect();
    let mut keys = Vec::new();
    for lane in lanes {
        keys.extend(lane.await.unwrap());
    }
    keys.sort_by_key(|key| key.number);
    store.caught_up().await;
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
}

/// The parts of a session end in any order, and an assembly that comes while the catcher is at work halts it.
#[tokio::test(flavor = "multi_thread")]
async fn an_assembly_waits_for_no_catcher() {
    const STEP: usize = limits::CATCH_STEP as usize;
    let dir = tempfile::tempdir().unwrap();
    // The first part is hashed on its way, the second in one step, and two steps of the third are done.
    let (store, hold) = Hold::at_read(dir.path(), 3).await;
    let parts = Parts::of(&[1_000, 2_000, 3 * STEP, 3_000]);
    let keys = parts.put_all(&store, [3, 2, 1, 0]).await;
    hold.reached().await;
    let assembly = tokio::time::timeout(SOON, read_back(&store, &parts, &keys));
    assert_eq!(assembly.await.expect("it waits for nobody"), 3 * STEP as u64 + 3_000);
    hold.release();
    store.caught_up().await;
    assert_eq!(hold.taken(), 4 + 2, "four steps of the catcher, and two parts by the assembly");
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_a_session_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hold) = Hold::at_read(dir.path(), 1).await;
    let parts = Parts::many(4, 1_000);
    parts.put_all(&store, [3, 2, 1, 0]).await;
    hold.reached().await;
    let (scope, session) = (scope(), session("s"));
    let cleared = tokio::time::timeout(SOON, store.delete_session(&scope, &session));
    assert_eq!(cleared.await.expect("it waits for nobody").unwrap(), 4);
    assert!(!dir.path().join("temp/main/s").exists());
    hold.release();
    store.caught_up().await;
    assert_eq!(hold.taken(), 2);
    // The same names again are others.
    let parts = Parts::many(4, 2_000);
    let keys = parts.put_all(&store, [3, 2, 1, 0]).await;
    store.caught_up().await;
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_store_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hold) = Hold::at_read(dir.path(), 1).await;
    let parts = Parts::many(8, 1_000);
    parts.put_all(&store, (0..8).rev()).await;
    hold.reached().await;
    drop(store);
    hold.release();
    let options = LocalOptions { lock_wait: SOON, ..LocalOptions::default() };
    LocalStore::open(dir.path(), options).await.expect("nobody has the folder any more");
    assert_eq!(hold.taken(), 2);
}

/// While the part is being read it is deleted, or another one is put in its place: what was read is of no use then.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_goes_meanwhile_does_no_harm() {
    // The part that goes, and the reading at which it goes: of itself, of the one before it, of the one after it.
    for (gone, at) in [(2, 1), (2, 0), (2, 2), (0, 0), (0, 2), (5, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let (store, hold) = Hold::at_read(dir.path(), at).await;
        let mut parts = Parts::many(6, 10_000);
        let mut keys = parts.put_all(&store, (0..6).rev()).await;
        hold.reached().await;
        assert!(store.delete_part(&scope(), &keys[gone]).await.unwrap());
        parts.0[gone] = content(77, 10_000);
        keys[gone] = parts.put(&store, gone).await;
        hold.release();
        store.caught_up().await;
        let read_back = read_back(&store, &parts, &keys).await;
        assert!(read_back < parts.size(), "{gone} at {at}: {read_back}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_of_a_deleted_part_is_free_although_it_was_being_read() {
    const STEP: usize = limits::CATCH_STEP as usize;
    let dir = tempfile::tempdir().unwrap();
    let (store, hold) = Hold::at_read(dir.path(), 1).await;
    // Without its size a part has a file of its own.
    let options = PartOptions { offset: Some(1_000), ..PartOptions::default() };
    let mut upload = Upload::part(&store, &scope(), &session("s"), 2, options).await.unwrap();
    upload.write(content(2, 8 * STEP).into()).await.unwrap();
    let large = upload.finish(Expected::default()).await.unwrap().key;
    part(&store, "s", 1, Some(0), content(1, 1_000)).await.unwrap();
    hold.reached().await;
    assert!(store.delete_part(&scope(), &large).await.unwrap());
    hold.release();
    store.caught_up().await;
    assert_eq!(hold.taken(), 2, "it is not read to its end");
}

/// What a killed process had not caught up with is noticed by the first part that comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::many(8, 100_000);
    let options = LocalOptions { lock_wait: SOON, ..LocalOptions::default() };
    let dies = |step: &'static str| step == "read";
    let store = LocalStore::open_with_fault(dir.path(), options.clone(), dies).await.unwrap();
    let mut keys = Vec::new();
    for at in [3, 2, 1, 0] {
        keys.insert(0, parts.put(&store, at).await);
    }
    store.caught_up().await;
    drop(store);
    let store = LocalStore::open(dir.path(), options).await.unwrap();
    for at in 4..8 {
        keys.push(parts.put(&store, at).await);
    }
    store.caught_up().await;
    assert_eq!(read_back(&store, &parts, &keys).await, 0);
}

/// An assembly that fails leaves the session open, and what comes then is caught up with again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_assembly_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let parts = Parts::many(8, 100_000);
    let mut keys = Vec::new();
    for at in [3, 2, 1, 0] {
        keys.insert(0, parts.put(&store, at).await);
    }
    let wrong = Expected { sha256: Some(Digest([0; 32])), ..Expected::default() };
    let id: FileId = file("f");
    let options = FinalOptions { expected: wrong, ..FinalOptions::default() };
    assemble_final(&store, &scope(), &id, &keys, options).await.expect_err("another digest");
    let before = store.counters().hash_read_back;
    for at in [7, 6, 5, 4] {
        keys.insert(4, parts.put(&store, at).await);
    }
    store.caught_up().await;
    assert_eq!(read_back(&store, &parts, &keys).await, before);
}

/// Three clients put the parts of one session, each its own in order. Some are cut off and begun again, some deleted and put
/// again with other content. At once after the last of them the digest of the whole is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_clients_do_side_by_side_the_digest_is_right() {
    const CLIENTS: usize = 3;
    const PARTS: usize = 12;
    let fast = LocalOptions { durability: Durability::None, ..LocalOptions::default() };
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let sizes: Vec<usize> = (0..PARTS).map(|_| random.usize(MIB / 2..3 * MIB)).collect();
        let parts = Parts::of(&sizes);
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path(), fast.clone()).await.unwrap());
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
