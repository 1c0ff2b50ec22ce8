//! Temporary parts.

use crate::bindings::portico::storage0_3_0::storage::{Error, PartOptions, Store};
use crate::source::{assert_error, content, final_options, part_options, pipe, put_part, read, sha256};
use futures_util::future::{Either, join, join_all, select};
use std::pin::pin;

const SESSION: &str = "session";

pub(crate) async fn kept_and_assembled(store: Store) {
    let pieces: Vec<_> = (0..4).map(|number| content(250_000 + number, 10 + number as u32)).collect();
    // All at once, which generation 0.2 cannot do in one component.
    let puts = (0..).zip(&pieces).map(|(number, piece)| {
        let options = PartOptions { want_sha256: number == 2, ..part_options() };
        put_part(&store, SESSION, number, piece, Ok(()), options)
    });
    let parts: Vec<_> = join_all(puts).await.into_iter().map(|(part, _)| part.expect("stored")).collect();
    assert_eq!(parts[2].sha256, Some(sha256(&pieces[2])));
    let (conflict, _) = put_part(&store, SESSION, 2, b"other", Ok(()), part_options()).await;
    assert_error!(conflict, Error::Conflict);

    let (stream, status) = store.get_temp_part_stream(parts[1].temp_key.clone(), None).await.expect("a stream");
    assert!(stream.collect().await == pieces[1] && status.await.is_ok());
    assert_eq!(store.stat_temp_part(parts[3].temp_key.clone()).await.expect("there").size, 250_003);

    let keys: Vec<_> = [3, 0, 2].iter().map(|&at: &usize| parts[at].temp_key.clone()).collect();
    let whole = [&pieces[3][..], &pieces[0], &pieces[2]].concat();
    let object = store.assemble_final("file".to_owned(), keys, final_options()).await.expect("assembled");
    assert_eq!((object.size, object.sha256.clone()), (whole.len() as u64, sha256(&whole)));
    assert!(read(&store, &object, None).await.expect("read").0 == whole);
    assert_error!(store.stat_temp_part(parts[0].temp_key.clone()).await, Error::NotFound);
    let ended = PartOptions { unless_final: Some("file".to_owned()), ..part_options() };
    assert_error!(put_part(&store, SESSION, 9, b"late", Ok(()), ended).await.0, Error::Ended);
    assert_eq!(store.delete_session_parts(SESSION.to_owned()).await.expect("deleted"), 1);
}

pub(crate) async fn joined_and_listed(store: Store) {
    let mut keys = Vec::new();
    for number in 0..5 {
        let (part, _) = put_part(&store, SESSION, number, &content(1_000, number), Ok(()), part_options()).await;
        keys.push(part.expect("stored").temp_key);
    }
    let first = store.list_temp_parts(SESSION.to_owned(), None, 3).await.expect("a page");
    assert_eq!(first.parts.iter().map(|part| part.part_number).collect::<Vec<_>>(), [0, 1, 2]);
    let second = store.list_temp_parts(SESSION.to_owned(), first.next, 3).await.expect("a page");
    assert_eq!(second.parts.len(), 2);
    let joined = store.join_temp_parts(SESSION.to_owned(), 7, keys[1..3].to_vec()).await.expect("joined");
    assert_eq!((joined.part_number, joined.size), (7, 2_000));
    assert_eq!(store.list_temp_sessions(None, 10).await.expect("a page").sessions, [SESSION]);
    assert!(store.delete_temp_part(keys[0].clone()).await.expect("deleted"));
    assert_eq!(store.delete_session_parts(SESSION.to_owned()).await.expect("deleted"), 3);
    assert!(store.list_temp_sessions(None, 10).await.expect("a page").sessions.is_empty());
}

/// A part that keeps prefixes has what arrived before the status was an error.
pub(crate) async fn prefixes(store: Store) {
    let bytes = content(700_000, 20);
    let keep = || PartOptions { keep_prefix: true, ..part_options() };
    for (number, status) in [(0, Err(Error::Interrupted(0))), (1, Err(Error::Stalled(0)))] {
        let (part, _) = put_part(&store, SESSION, number, &bytes, status, keep()).await;
        let part = part.expect("a prefix");
        assert_eq!((part.size, part.is_prefix), (700_000, true));
        let (stream, status) = store.get_temp_part_stream(part.temp_key, None).await.expect("a stream");
        assert!(stream.collect().await == bytes && status.await.is_ok());
    }
    let (part, _) = put_part(&store, SESSION, 2, &bytes, Ok(()), keep()).await;
    assert!(!part.expect("whole").is_prefix);
    let (nothing, _) = put_part(&store, SESSION, 3, b"", Err(Error::Interrupted(0)), keep()).await;
    assert_error!(nothing, Error::Interrupted(0));
}

pub(crate) async fn interrupted(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let put = pin!(store.put_temp_part(SESSION.to_owned(), 0, stream, verdict, part_options()));
    let put = match select(put, Box::pin(feed.content.write_all(vec![1; 100_000]))).await {
        Either::Right((rest, put)) => {
            assert!(rest.is_empty());
            put
        }
        Either::Left((put, _)) => panic!("the put ended before its content: {put:?}"),
    };
    let (put, interrupt) = join(put, store.interrupt(SESSION.to_owned())).await;
    // The chunk may still have been on its way to the backend.
    assert_error!(put, Error::Interrupted(0 | 100_000));
    interrupt.expect("interrupted");
    assert!(!feed.content.write_all(vec![1; 10]).await.is_empty(), "nobody reads any more");
    assert!(store.list_temp_sessions(None, 10).await.expect("a page").sessions.is_empty());
}

pub(crate) async fn endless_stream_meets_its_limit(store: Store) {
    let (mut feed, stream, verdict) = pipe();
    let options = PartOptions { limit: Some(5_000_000), ..part_options() };
    let put = store.put_temp_part(SESSION.to_owned(), 0, stream, verdict, options);
    let endless = async {
        let mut sent: u64 = 0;
        while feed.content.write_all(vec![9; 64 << 10]).await.is_empty() {
            sent += 64 << 10;
            assert!(sent < 50_000_000, "nobody stops the stream");
        }
        sent
    };
    let (put, sent) = join(put, endless).await;
    assert_error!(put, Error::TooLarge(5_000_000));
    assert!(sent >= 4_900_000, "{sent}");
}
