//! Writers.

use crate::bindings::portico::storage0_3_0::storage::{Error, Expected, Receipt, SizeMismatch, Store, Writer};
use crate::source::{Status, assert_error, content, final_options, nothing_expected, part_options, pipe, sha256};
use futures_util::future::{Either, join, select};
use std::pin::pin;

async fn pull(writer: &Writer, bytes: &[u8], status: Status) -> Result<u64, Error> {
    let (feed, stream, verdict) = pipe();
    join(writer.pull(stream, verdict), feed.send(bytes, status)).await.0
}

pub(crate) async fn pulled_twice(store: Store) {
    let bytes = content(800_000, 40);
    let writer = store.create_final("file".to_owned(), final_options()).await.expect("a writer");
    assert_eq!(pull(&writer, &bytes[..300_000], Ok(())).await.expect("pulled"), 300_000);
    assert_eq!(pull(&writer, b"", Ok(())).await.expect("pulled"), 0);
    assert_eq!(pull(&writer, &bytes[300_000..], Ok(())).await.expect("pulled"), 500_000);
    let expected = Expected { size: Some(800_000), sha256: Some(sha256(&bytes)), ..nothing_expected() };
    match Writer::finish(writer, expected).await {
        Ok(Receipt::StoredObject(object)) => assert_eq!(object.sha256, sha256(&bytes)),
        other => panic!("{other:?}"),
    }
    let writer = store.create_temp_part("session".to_owned(), 0, part_options()).await.expect("a writer");
    assert_eq!(pull(&writer, b"part", Ok(())).await.expect("pulled"), 4);
    let short = Expected { size: Some(5), ..nothing_expected() };
    let finished = Writer::finish(writer, short).await.map(drop);
    assert_error!(finished, Error::SizeMismatch(SizeMismatch { expected: 5, actual: 4 }));
    let dropped = store.create_final("dropped".to_owned(), final_options()).await.expect("a writer");
    assert_eq!(pull(&dropped, b"never visible", Ok(())).await.expect("pulled"), 13);
    drop(dropped);
    assert_eq!(store.list_finals(None, 10).await.expect("a page").file_ids, ["file"]);
}

pub(crate) async fn a_failed_pull_fails_the_writer(store: Store) {
    let writer = store.create_final("file".to_owned(), final_options()).await.expect("a writer");
    assert_eq!(pull(&writer, &[1; 1_000], Ok(())).await.expect("pulled"), 1_000);
    assert_error!(pull(&writer, &[2; 500], Err(Error::Stalled(0))).await, Error::Stalled(1_500));
    assert_error!(pull(&writer, &[3; 500], Ok(())).await, Error::Stalled(1_500));
    assert_error!(Writer::finish(writer, nothing_expected()).await.map(drop), Error::Stalled(1_500));
}

pub(crate) async fn a_cancelled_pull_fails_the_writer(store: Store) {
    let writer = store.create_final("file".to_owned(), final_options()).await.expect("a writer");
    let (mut feed, stream, verdict) = pipe();
    {
        let pulled = pin!(writer.pull(stream, verdict));
        let written = pin!(feed.content.write_all(vec![1; 1_000]));
        match select(pulled, written).await {
            Either::Right((rest, _)) => assert!(rest.is_empty()),
            Either::Left((pulled, _)) => panic!("the pull ended before its content: {pulled:?}"),
        }
    }
    assert_error!(Writer::finish(writer, nothing_expected()).await.map(drop), Error::Interrupted(_));
    assert!(store.list_finals(None, 10).await.expect("a page").file_ids.is_empty());
}

/// Traps.
pub(crate) async fn two_pulls_at_once(store: Store) {
    let writer = store.create_final("file".to_owned(), final_options()).await.expect("a writer");
    let (_one, stream, verdict) = pipe();
    let first = writer.pull(stream, verdict);
    let (_two, stream, verdict) = pipe();
    join(first, writer.pull(stream, verdict)).await.0.expect("unreachable");
}
