//! Every way in which content can end before its end. A cut body is never a clean end.

use crate::bindings::portico::storage0_3_0::storage::{ByteRange, Error, Expected, FinalOptions, SizeMismatch, Store};
use crate::source::{Pipe, assert_error, content, final_options, nothing_expected, pipe, put, sha256};
use futures_util::future::{Either, join, select};
use std::pin::pin;

async fn assert_nothing(store: &Store) {
    let page = store.list_finals(None, 10).await.expect("a page");
    assert!(page.file_ids.is_empty(), "visible: {:?}", page.file_ids);
}

pub(crate) async fn status_is_an_error(store: Store) {
    let bytes = content(1_300_000, 30);
    let (put_, left) = put(&store, "cut", &bytes, Err(Error::Interrupted(0)), final_options()).await;
    assert_error!(put_, Error::Interrupted(1_300_000));
    assert_eq!(left, 0);
    let (stalled, _) = put(&store, "stalled", &bytes[..10], Err(Error::Stalled(99)), final_options()).await;
    assert_error!(stalled, Error::Stalled(10));
    let (other, _) = put(&store, "other", &bytes[..20], Err(Error::NoSpace), final_options()).await;
    assert_error!(other, Error::Interrupted(20));
    assert_nothing(&store).await;
}

/// A component cannot drop a future without a value: the bindings write their default. It is `interrupted` here.
pub(crate) async fn status_is_dropped(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let feed = async {
        assert!(feed.content.write_all(content(100_000, 31)).await.is_empty());
        drop(feed);
    };
    let (put, ()) = join(store.put_final("dropped".to_owned(), stream, verdict, final_options()), feed).await;
    assert_error!(put, Error::Interrupted(100_000));
    assert_nothing(&store).await;
}

/// A status may come first; the content is then whole where its stream ends.
pub(crate) async fn status_before_content(store: Store) {
    let bytes = content(600_000, 32);
    let (feed, stream, verdict) = pipe();
    let feed = async {
        feed.status.write(Ok(())).await.expect("taken");
        let mut stream = feed.content;
        assert!(stream.write_all(bytes.clone()).await.is_empty());
    };
    let (put, ()) = join(store.put_final("early".to_owned(), stream, verdict, final_options()), feed).await;
    assert_eq!(put.expect("stored").sha256, sha256(&bytes));
}

/// An error ends the put at once, although the stream is still open.
pub(crate) async fn error_before_content(store: Store) {
    let (feed, stream, verdict) = pipe();
    let Pipe { content: mut open, status } = feed;
    let put = store.put_final("early".to_owned(), stream, verdict, final_options());
    let (put, ()) = join(put, async { drop(status.write(Err(Error::Interrupted(0))).await) }).await;
    assert_error!(put, Error::Interrupted(0));
    assert_eq!(open.write_all(vec![1, 2, 3]).await, [1, 2, 3], "nobody reads any more");
    assert_nothing(&store).await;
}

/// A stream that ends early looks like its end, so its status or the expectation decides.
pub(crate) async fn stream_dropped_early(store: Store) {
    let bytes = content(50_000, 33);
    let expected = Expected { size: Some(60_000), ..nothing_expected() };
    let options = FinalOptions { expected, ..final_options() };
    let (short, _) = put(&store, "short", &bytes, Ok(()), options).await;
    assert_error!(short, Error::SizeMismatch(SizeMismatch { expected: 60_000, actual: 50_000 }));
    let (cut, _) = put(&store, "cut", &bytes, Err(Error::Interrupted(0)), final_options()).await;
    assert_error!(cut, Error::Interrupted(50_000));
    assert_nothing(&store).await;
}

/// The status of a stream that was not read to its end is never `ok`.
pub(crate) async fn reader_dropped_early(store: Store) {
    let bytes = content(4_000_000, 34);
    let object = put(&store, "file", &bytes, Ok(()), final_options()).await.0.expect("stored");
    let get = || store.get_final_stream(object.bucket.clone(), object.key.clone(), None);

    let (stream, status) = get().await.expect("a stream");
    drop(stream);
    assert_error!(status.await, Error::Interrupted(0));

    let (mut stream, status) = get().await.expect("a stream");
    let (_, some) = stream.read(Vec::with_capacity(10)).await;
    assert_eq!(some, bytes[..10]);
    drop(stream);
    assert_error!(status.await, Error::Interrupted(10..));

    let (stream, status) = get().await.expect("a stream");
    drop(status);
    assert!(stream.collect().await == bytes, "a stream continues without its status");
}

/// What storage delivers can be stored again without entering this component.
pub(crate) async fn handed_on(store: Store) {
    let bytes = content(3_000_000, 35);
    let object = put(&store, "one", &bytes, Ok(()), final_options()).await.0.expect("stored");
    let get = |range| store.get_final_stream(object.bucket.clone(), object.key.clone(), range);

    let (stream, status) = get(None).await.expect("a stream");
    let copy = store.put_final("two".to_owned(), stream, status, final_options()).await.expect("a copy");
    assert_eq!((copy.size, copy.sha256), (3_000_000, sha256(&bytes)));

    // The receipt describes what the host pulled, which is not the prefix that this component has read.
    let (mut stream, status) = get(Some(ByteRange { start: 5, end: Some(2_000_005) })).await.expect("a stream");
    let (_, prefix) = stream.read(Vec::with_capacity(1_000)).await;
    assert_eq!(prefix, bytes[5..1_005]);
    let rest = store.put_final("rest".to_owned(), stream, status, final_options()).await.expect("the rest");
    assert_eq!((rest.size, rest.sha256), (1_999_000, sha256(&bytes[1_005..2_000_005])));
}

/// A stream may end cleanly and its status, which another stream's is mixed up with, says otherwise.
pub(crate) async fn handed_on_after_a_cut(store: Store) {
    let bytes = content(2_000_000, 36);
    let object = put(&store, "one", &bytes, Ok(()), final_options()).await.0.expect("stored");
    let get = || store.get_final_stream(object.bucket.clone(), object.key.clone(), None);
    let (dropped, cut) = get().await.expect("a stream");
    let (stream, _) = get().await.expect("a stream");
    drop(dropped);
    let copy = store.put_final("two".to_owned(), stream, cut, final_options()).await;
    assert_error!(copy, Error::Interrupted(_));
    assert_eq!(store.list_finals(None, 10).await.expect("a page").file_ids, ["one"]);
}

pub(crate) async fn put_cancelled(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    {
        let put = pin!(store.put_final("cancelled".to_owned(), stream, verdict, final_options()));
        let written = pin!(feed.content.write_all(content(900_000, 37)));
        match select(put, written).await {
            Either::Right((rest, _)) => assert!(rest.is_empty()),
            Either::Left((put, _)) => panic!("the put ended before its content: {put:?}"),
        }
        // The put is dropped here, which cancels it.
    }
    assert_eq!(feed.content.write_all(vec![1]).await, [1], "nobody reads any more");
    drop(feed);
    assert_nothing(&store).await;
    let (again, _) = put(&store, "cancelled", b"again", Ok(()), final_options()).await;
    assert_eq!(again.expect("the id is free").size, 5);
    let object = store.stat_final("cancelled".to_owned()).await.expect("there");
    assert!(store.delete_final(object.bucket, object.key).await.expect("deleted"));
}

/// The host looks afterwards.
pub(crate) async fn guest_traps(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let feed = async {
        assert!(feed.content.write_all(content(900_000, 38)).await.is_empty());
        panic!("as the case wants");
    };
    join(store.put_final("trapped".to_owned(), stream, verdict, final_options()), feed).await.0.expect("unreachable");
}

/// Leaves a put behind whose content never ends. The host looks afterwards.
pub(crate) async fn guest_ends(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let put = Box::pin(store.put_final("left".to_owned(), stream, verdict, final_options()));
    let written = Box::pin(feed.content.write_all(content(900_000, 39)));
    let (rest, put) = match select(put, written).await {
        Either::Right(both) => both,
        Either::Left((put, _)) => panic!("the put ended before its content: {put:?}"),
    };
    assert!(rest.is_empty());
    std::mem::forget(put);
    std::mem::forget(feed);
    std::mem::forget(store);
}

/// The host makes the backend cut its answers off.
pub(crate) async fn backend_fails(store: Store) {
    let object = store.stat_final("stored-by-the-host".to_owned()).await.expect("there");
    let (stream, status) =
        store.get_final_stream(object.bucket.clone(), object.key.clone(), None).await.expect("begun");
    let bytes = stream.collect().await;
    assert!((bytes.len() as u64) < object.size, "the backend cuts its answers off");
    assert_error!(status.await, Error::Unavailable(_) | Error::Internal(_));

    let (stream, status) = store.get_final_stream(object.bucket, object.key, None).await.expect("begun");
    let copy = store.put_final("copy".to_owned(), stream, status, final_options()).await;
    assert_error!(copy, Error::Interrupted(_) | Error::Unavailable(_));
}
