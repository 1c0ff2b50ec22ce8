//! Clients that stall during an upload do not keep others from finishing within the memory budget.

mod support;

use portico_s3::S3Store;
use portico_store::{Error, FileId, IfExists, PartOptions, Scope, SessionId, put_final, put_part};
use portico_test_servers::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Framed, MIB, Stalled, audit, content, options, read, sized};
use tokio::task::JoinSet;

/// Stalled clients of each kind.
const STALLED: usize = 40;

/// Bytes that each of them has sent.
const SENT: usize = MIB;

/// Time limit of clients that do not stall.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn stalled_uploads_do_not_keep_others_from_finishing() {
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let mut store = server.options(&bucket);
    store.part_size = 5 * MIB;
    store.memory = 20 * MIB;
    let store = Arc::new(S3Store::open(store).await.expect("the store opens"));
    let mut stalled = JoinSet::new();
    for at in 0..2 * STALLED {
        // Half of the uploads of known length are parts, and half of the others.
        let size = (at % 2 == 0).then_some(12 * MIB);
        let store = store.clone();
        stalled.spawn(async move {
            let mut content = Stalled(Framed::new(&content(SENT, at as u64)));
            let name = format!("stalled-{at}");
            if at % 4 < 2 {
                let file = FileId::parse(&name).unwrap();
                let options = options(size, IfExists::Fail);
                put_final(&*store, &Scope::root(), &file, &mut content, options).await.map(drop)
            } else {
                let session = SessionId::parse(&name).unwrap();
                let options = PartOptions { expected: sized(size), ..Default::default() };
                put_part(&*store, &Scope::root(), &session, 0, &mut content, options).await.map(drop)
            }
        });
    }
    // The stalled clients hold the memory once one of them loses it.
    let first = stalled.join_next().await.unwrap().unwrap();
    assert!(matches!(first, Err(Error::Unavailable { retry_after: Some(_), .. })), "{first:?}");

    let began = Instant::now();
    let mut others = JoinSet::new();
    for (at, (size, known)) in
        [(100_000, true), (100_000, false), (12 * MIB, true), (12 * MIB, false)].into_iter().enumerate()
    {
        let store = store.clone();
        others.spawn(async move {
            let bytes = content(size, 1_000 + at as u64);
            let file = FileId::parse(&format!("other-{at}")).unwrap();
            let options = options(known.then_some(size), IfExists::Fail);
            let put = put_final(&*store, &Scope::root(), &file, &mut Framed::new(&bytes), options).await;
            let took = began.elapsed();
            let put = put.unwrap_or_else(|error| panic!("{size} {known}: {error:?}"));
            assert!(read(&store, &Scope::root(), &put.key).await.unwrap() == bytes);
            assert!(took < LIMIT, "{size} bytes, known: {known}: {took:?}");
        });
    }
    while let Some(done) = others.join_next().await {
        done.unwrap();
    }
    while let Some(ended) = stalled.try_join_next() {
        let ended = ended.unwrap();
        assert!(matches!(ended, Err(Error::Unavailable { retry_after: Some(_), .. })), "{ended:?}");
    }
    assert!(stalled.len() >= STALLED, "those of known length hold nothing, so none of them is ended");
    stalled.shutdown().await;
    store.settle().await;
    // Two sweeps remove what their ends did not remove at once.
    for _ in 0..2 {
        server.advance(Duration::from_secs(25 * 60 * 60));
        portico_store::Backend::sweep(&*store).await.unwrap();
    }
    let left = audit::left(&server.client(), &bucket).await;
    assert!(left.is_empty(), "left behind: {left:#?}");
}
