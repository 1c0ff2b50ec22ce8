//! What a hostile component tries.

use crate::bindings::portico::storage0_3_0::storage::{Error, Store};
use crate::source::{assert_error, content, final_options, pipe, put, read};
use futures_util::future::{join, join_all};

/// Streams that one component may hold open.
const OPEN_MAX: usize = 64;
/// Calls that one component may have in flight.
const CALLS_MAX: usize = 32;

pub(crate) async fn too_many_streams(store: Store) {
    let object = put(&store, "file", &content(300_000, 60), Ok(()), final_options()).await.0.expect("stored");
    let get = || store.get_final_stream(object.bucket.clone(), object.key.clone(), None);
    let mut open = Vec::new();
    while open.len() < OPEN_MAX {
        open.push(get().await.expect("a stream"));
    }
    assert_error!(get().await.map(drop), Error::Unavailable(_));
    assert_error!(put(&store, "other", b"x", Ok(()), final_options()).await.0, Error::Unavailable(_));
    assert_error!(store.open_final("file".to_owned()).await.map(drop), Error::Unavailable(_));
    let (stream, status) = open.pop().expect("one of them");
    assert_eq!((stream.collect().await.len(), status.await.is_ok()), (300_000, true));
    get().await.map(drop).expect("a place is free");
    drop(open);
    assert_eq!(read(&store, &object, None).await.expect("read").0.len(), 300_000);
}

/// Puts that wait for content are calls in flight.
pub(crate) async fn too_many_calls(store: Store) {
    let (mut feeds, mut puts) = (Vec::new(), Vec::new());
    for number in 0..CALLS_MAX + 8 {
        let (feed, stream, verdict) = pipe();
        feeds.push(feed);
        puts.push(store.put_final(format!("file-{number}"), stream, verdict, final_options()));
    }
    let feed = async {
        for feed in feeds {
            feed.send(b"content", Ok(())).await;
        }
    };
    let (results, ()) = join(join_all(puts), feed).await;
    let stored = results.iter().filter(|put| put.is_ok()).count();
    let refused = results.iter().filter(|put| matches!(put, Err(Error::Unavailable(_)))).count();
    assert_eq!((stored, refused), (CALLS_MAX, 8), "{results:?}");
    store.stat_final("file-0".to_owned()).await.expect("calls are free again");
}

/// Keeps statuses until the host's table is full, and traps then.
pub(crate) async fn a_table_of_statuses(store: Store) {
    let object = put(&store, "file", b"small", Ok(()), final_options()).await.0.expect("stored");
    let mut kept = Vec::new();
    loop {
        let (stream, status) =
            store.get_final_stream(object.bucket.clone(), object.key.clone(), None).await.expect("a stream");
        drop(stream);
        kept.push(status);
        assert!(kept.len() < 100_000, "the table has no end");
    }
}

/// Writes of nothing neither store nor block anything.
pub(crate) async fn a_writer_of_nothing(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let feed = async {
        for _ in 0..1_000 {
            assert!(feed.content.write_all(Vec::new()).await.is_empty());
        }
        for byte in 0..1_000_u32 {
            assert!(feed.content.write_all(vec![byte as u8]).await.is_empty());
        }
        feed.send(b"", Ok(())).await
    };
    let (put, _) = join(store.put_final("file".to_owned(), stream, verdict, final_options()), feed).await;
    assert_eq!(put.expect("stored").size, 1_000);
}

/// The host allows 1,000,000 bytes and three objects.
pub(crate) async fn quota(store: Store) {
    let half = content(500_000, 61);
    put(&store, "one", &half, Ok(()), final_options()).await.0.expect("stored");
    let (full, _) = put(&store, "two", &content(500_001, 62), Ok(()), final_options()).await;
    assert_error!(full, Error::NoSpace);
    let (cut, _) = put(&store, "three", &half, Err(Error::Interrupted(0)), final_options()).await;
    assert_error!(cut, Error::Interrupted(_));
    put(&store, "four", &half, Ok(()), final_options()).await.0.expect("failed puts are not counted");
    assert_error!(put(&store, "five", b"x", Ok(()), final_options()).await.0, Error::NoSpace);
    let object = store.stat_final("one".to_owned()).await.expect("there");
    assert!(store.delete_final(object.bucket, object.key).await.expect("deleted"));
    put(&store, "six", &half, Ok(()), final_options()).await.0.expect("room again");
}
