//! Both generations of the contract in one component.

use crate::bindings::portico::storage0_2_0::storage as old;
use crate::bindings::portico::storage0_3_0::storage::{Error, Store};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::source::{assert_error, content, final_options, put, read, sha256};

pub(crate) fn old_options() -> old::FinalOptions {
    old::FinalOptions {
        expected: old::Expected { size: None, sha256: None, others: Vec::new() },
        if_exists: old::IfExists::Fail,
        content_type: None,
        metadata: Vec::new(),
    }
}

/// Writes content through the sink of a writer of generation 0.2.
pub(crate) fn old_put(store: &old::Store, id: &str, bytes: &[u8]) -> Result<old::StoredObject, old::Error> {
    let writer = store.create_final(id, &old_options())?;
    let sink = writer.sink()?;
    for chunk in bytes.chunks(4_096) {
        sink.blocking_write_and_flush(chunk).expect("taken");
    }
    drop(sink);
    match old::Writer::finish(writer, &old_options().expected)? {
        old::Receipt::StoredObject(object) => Ok(object),
        old::Receipt::TempPart(_) => unreachable!("a writer of an object"),
    }
}

pub(crate) fn old_read(stream: &InputStream, mut take: impl FnMut(&[u8])) {
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(chunk) => take(&chunk),
            Err(StreamError::Closed) => return,
            Err(StreamError::LastOperationFailed(error)) => panic!("{:?}", old::error_of(&error)),
        }
    }
}

pub(crate) async fn both_see_the_same(store: Store) {
    let before = old::open();
    let bytes = content(100_000, 50);

    let newer = put(&store, "new", &bytes, Ok(()), final_options()).await.0.expect("stored");
    let seen = before.stat_final("new").expect("seen");
    assert_eq!((seen.key.clone(), seen.sha256), (newer.key, sha256(&bytes)));
    let stream = before.get_final_stream(&seen.bucket, &seen.key, None).expect("a stream");
    let mut found = Vec::new();
    old_read(&stream, |chunk| found.extend_from_slice(chunk));
    assert!(found == bytes);
    drop(stream);

    let older = old_put(&before, "old", &bytes).expect("stored");
    let seen = store.stat_final("old".to_owned()).await.expect("seen");
    assert_eq!(seen.key, older.key);
    assert!(read(&store, &seen, None).await.expect("read").0 == bytes);

    let (conflict, _) = put(&store, "old", &bytes, Ok(()), final_options()).await;
    assert_error!(conflict, Error::Conflict);
    assert!(matches!(old_put(&before, "new", &bytes), Err(old::Error::Conflict)));
    assert_eq!(store.list_finals(None, 10).await.expect("a page").file_ids, ["new", "old"]);

    // The limit of open streams is one for both.
    let held: Vec<_> = (0..40).map(|_| before.open_final("old").expect("opened")).collect();
    let mut readers = Vec::new();
    while readers.len() < 40 {
        match store.open_final("old".to_owned()).await {
            Ok(reader) => readers.push(reader),
            Err(error) => {
                assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
                break;
            }
        }
    }
    assert_eq!(held.len() + readers.len(), 64);
}
