//! Final objects, records and scopes.

use crate::bindings::portico::storage0_3_0::storage::{
    Argument, ByteRange, DigestAlgorithm, Error, Expected, FinalOptions, IfExists, OtherDigest, SizeMismatch, Store,
};
use crate::source::{assert_error, content, final_options, nothing_expected, pipe, put, read, sha256};
use futures_util::future::join;

pub(crate) async fn kept_and_read(store: Store) {
    assert!(["local", "s3"].contains(&store.info().backend.as_str()));
    let bytes = content(3_000_017, 1);
    let options = FinalOptions {
        content_type: Some("text/plain".to_owned()),
        metadata: vec![("name".to_owned(), "ä b".to_owned())],
        ..final_options()
    };
    let (object, left) = put(&store, "file", &bytes, Ok(()), options).await;
    let object = object.expect("stored");
    assert_eq!((object.size, object.sha256.clone(), left), (3_000_017, sha256(&bytes), 0));
    assert_eq!(object.content_type.as_deref(), Some("text/plain"));
    assert_eq!(object.metadata, [("name".to_owned(), "ä b".to_owned())]);

    assert_eq!(read(&store, &object, None).await.expect("read").0, bytes);
    for (start, end) in [(0, Some(1)), (1_000_000, Some(1_000_000)), (2_999_999, None), (65_535, Some(1_500_001))] {
        let (range, status) = read(&store, &object, Some(ByteRange { start, end })).await.expect("a range");
        let end = end.unwrap_or(object.size) as usize;
        assert!(range == bytes[start as usize..end] && status.is_ok(), "{start}-{end}");
    }
    let beyond = Some(ByteRange { start: 3_000_018, end: None });
    assert_error!(read(&store, &object, beyond).await, Error::OutOfRange(3_000_017));
    let backwards = Some(ByteRange { start: 2, end: Some(1) });
    assert_error!(read(&store, &object, backwards).await, Error::InvalidArgument(Argument::Range));

    let reader = store.open_final("file".to_owned()).await.expect("opened");
    assert_eq!(reader.receipt().size, 3_000_017);
    let (first, second) = (reader.stream(None), reader.stream(Some(ByteRange { start: 10, end: Some(20) })));
    let (first, second) = join(first, second).await;
    let ((first, whole), (second, piece)) = (first.expect("a stream"), second.expect("a stream"));
    drop(reader);
    assert!(second.collect().await == bytes[10..20] && piece.await.is_ok());
    assert!(first.collect().await == bytes && whole.await.is_ok(), "streams continue without their reader");

    assert_eq!(store.stat_final("file".to_owned()).await.expect("there").sha256, sha256(&bytes));
    let all = store.stat_finals(vec!["none".to_owned(), "file".to_owned()]).await.expect("receipts");
    assert!(all[0].is_none() && all[1].as_ref().is_some_and(|object| object.size == 3_000_017));
    assert_eq!(store.list_finals(None, 10).await.expect("a page").file_ids, ["file"]);
    assert!(store.delete_final(object.bucket.clone(), object.key.clone()).await.expect("deleted"));
    assert!(!store.delete_final(object.bucket.clone(), object.key.clone()).await.expect("deleted before"));
    assert_error!(store.stat_final("file".to_owned()).await, Error::Gone(_));
    assert!(store.void_final("other".to_owned(), "aborted".to_owned()).await.expect("voided"));
    assert_error!(put(&store, "other", b"x", Ok(()), final_options()).await.0, Error::Gone(_));
    let step = store.purge_gone(0, None).await.expect("a step");
    assert_eq!((step.purged, step.next), (0, None));
}

pub(crate) async fn expected(store: Store) {
    let bytes = content(300_000, 2);
    let with = |size: Option<u64>, sha256: Option<Vec<u8>>| FinalOptions {
        expected: Expected { size, sha256, others: Vec::new() },
        ..final_options()
    };
    let (short, _) = put(&store, "short", &bytes, Ok(()), with(Some(300_001), None)).await;
    assert_error!(short, Error::SizeMismatch(SizeMismatch { expected: 300_001, actual: 300_000 }));
    let (long, _) = put(&store, "long", &bytes, Ok(()), with(Some(10), None)).await;
    assert_error!(long, Error::SizeMismatch(SizeMismatch { expected: 10, actual: 11 }));
    let (wrong, _) = put(&store, "wrong", &bytes, Ok(()), with(None, Some(vec![7; 32]))).await;
    assert_error!(wrong, Error::DigestMismatch);
    let (malformed, _) = put(&store, "malformed", &bytes, Ok(()), with(None, Some(vec![7; 31]))).await;
    assert_error!(malformed, Error::InvalidArgument(Argument::Expected));
    let checksum = OtherDigest { algorithm: DigestAlgorithm::Crc32c, value: vec![0; 4] };
    let other = FinalOptions { expected: Expected { others: vec![checksum], ..nothing_expected() }, ..final_options() };
    assert_error!(put(&store, "other", &bytes, Ok(()), other).await.0, Error::DigestMismatch);
    assert!(store.list_finals(None, 10).await.expect("a page").file_ids.is_empty(), "nothing is visible");
    let (right, _) = put(&store, "right", &bytes, Ok(()), with(Some(300_000), Some(sha256(&bytes)))).await;
    assert_eq!(right.expect("stored").size, 300_000);
}

pub(crate) async fn two_racing_puts(store: Store) {
    let (one, two) = (content(500_000, 3), content(400_000, 4));
    for round in 0..5 {
        let id = format!("race-{round}");
        let race =
            join(put(&store, &id, &one, Ok(()), final_options()), put(&store, &id, &two, Ok(()), final_options()));
        let ((first, _), (second, _)) = race.await;
        let object = match (first, second) {
            (Ok(object), Err(Error::Conflict)) | (Err(Error::Conflict), Ok(object)) => object,
            other => panic!("exactly one wins: {other:?}"),
        };
        let winner = if object.size == 500_000 { &one } else { &two };
        assert_eq!(object.sha256, sha256(winner));
        assert!(read(&store, &object, None).await.expect("read").0 == *winner);
        let again = FinalOptions { if_exists: IfExists::SameContentOk, ..final_options() };
        assert!(put(&store, &id, winner, Ok(()), again).await.0.expect("the same content").replayed);
    }
}

/// Content is consumed also when an argument is refused, and its writer is not left waiting.
pub(crate) async fn refused_before_content(store: Store) {
    let bytes = content(2_000_000, 5);
    let (refused, left) = put(&store, "../etc", &bytes, Ok(()), final_options()).await;
    assert_error!(refused, Error::InvalidArgument(Argument::FileId));
    assert!(left > 0, "{left} bytes were not taken");
    put(&store, "taken", b"x", Ok(()), final_options()).await.0.expect("stored");
    let (refused, _) = put(&store, "taken", &bytes, Ok(()), final_options()).await;
    assert_error!(refused, Error::Conflict);
}

pub(crate) async fn records_and_scopes(store: Store) {
    let name = || "sessions/1".to_owned();
    let version = store.create_record(name(), b"one".to_vec()).await.expect("created");
    assert_error!(store.create_record(name(), b"two".to_vec()).await, Error::Conflict);
    let (a, b) = join(
        store.replace_record(name(), version.clone(), b"a".to_vec()),
        store.replace_record(name(), version.clone(), b"b".to_vec()),
    )
    .await;
    assert!(a.is_ok() != b.is_ok(), "one of two replacements wins: {a:?} {b:?}");
    let record = store.get_record(name()).await.expect("there");
    assert_eq!(record.value, if a.is_ok() { b"a" } else { b"b" });
    assert_error!(store.create_record("big".to_owned(), vec![0; (64 << 10) + 1]).await, Error::TooLarge(65_536));

    let narrow = store.scope("inner").expect("a scope");
    assert_error!(store.scope("not/one"), Error::InvalidArgument(Argument::Scope));
    assert_error!(narrow.get_record(name()).await, Error::NotFound);
    narrow.create_record(name(), b"mine".to_vec()).await.expect("created");
    let (object, _) = put(&store, "file", b"outer", Ok(()), final_options()).await;
    let object = object.expect("stored");
    assert_error!(read(&narrow, &object, None).await, Error::NotFound);
    assert!(!narrow.delete_final(object.bucket.clone(), object.key.clone()).await.expect("of another scope"));
    assert_eq!(store.list_records("sess".to_owned(), None, 10).await.expect("a page").names, ["sessions/1"]);
    assert!(store.delete_record(name(), None).await.expect("deleted"));
    assert_eq!(narrow.get_record(name()).await.expect("of the other scope").value, b"mine");

    // A handle may go while a call of it runs.
    let (feed, stream, verdict) = pipe();
    let put = narrow.put_final("late".to_owned(), stream, verdict, final_options());
    let (late, _) = join(put, feed.send(b"late", Ok(()))).await;
    assert_eq!(late.expect("stored").size, 4);
}
