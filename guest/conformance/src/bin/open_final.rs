//! Readers: the receipt and the streams of one object, also after its deletion.

use portico_guest_conformance::*;

cases! {
    has_the_receipt_of_the_put,
    many_streams_of_one,
    streams_without_their_reader,
    what_is_not_there,
    deleted_while_open,
    another_object_under_the_same_id,
    too_many_open,
}

const SIZE: u64 = 900_001;

fn has_the_receipt_of_the_put(store: &Store) {
    let content = pattern(1, SIZE);
    let options = FinalOptions::new().content_type("text/csv").metadata("one", "1").metadata("two", "2");
    let object = store.put_final("file", content.source(), options).expect("a put");
    let reader = store.open_final("file").expect("a reader");
    assert_eq!(*reader.receipt(), object);
    content.assert_read(reader.stream(..).expect("a stream"));
    let again = store.put_final("file", content.source(), FinalOptions::new().same_content_ok()).expect("a replay");
    assert!(again.replayed);
    assert!(!store.open_final("file").expect("a reader").receipt().replayed);
    keep_object(store, &object, &content);
}

fn many_streams_of_one(store: &Store) {
    let content = pattern(1, SIZE);
    let object = put(store, "file", &content);
    let reader = store.open_final("file").expect("a reader");
    let starts = [0, 100_000, 1, SIZE / 2];
    let mut streams = starts.map(|start| reader.stream(start..).expect("a stream"));
    for step in 0..4 {
        for (start, stream) in starts.iter().zip(&mut streams) {
            content.slice(start + 50_000 * step, start + 50_000 * (step + 1)).assert_read_next(stream);
        }
    }
    for (start, stream) in starts.iter().zip(streams) {
        content.slice(start + 200_000, SIZE).assert_read(stream);
    }
    keep_object(store, &object, &content);
}

fn streams_without_their_reader(store: &Store) {
    let content = pattern(1, SIZE);
    let object = put(store, "file", &content);
    let mut stream = store.open_final("file").expect("a reader").stream(..).expect("a stream");
    content.slice(0, 10).assert_read_next(&mut stream);
    content.slice(10, SIZE).assert_read(stream);
    keep_object(store, &object, &content);
}

fn what_is_not_there(store: &Store) {
    refused(store.open_final("nothing"), Error::NotFound);
    store.void_final("voided", "aborted").expect("an end");
    refused(store.open_final("voided"), gone("aborted"));
    let object = put(store, "deleted", &pattern(1, 10));
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    refused(store.open_final("deleted"), gone("deleted"));
}

/// Open streams continue. Whether the reader can open new ones depends on the backend.
fn deleted_while_open(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    let reader = store.open_final("file").expect("a reader");
    let untouched = reader.stream(..).expect("a stream");
    let mut begun = reader.stream(..).expect("a stream");
    content.slice(0, 100).assert_read_next(&mut begun);
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    refused(store.open_final("file"), gone("deleted"));
    assert_eq!(*reader.receipt(), object);
    match reader.stream(..) {
        Ok(stream) => content.assert_read(stream),
        Err(error) => assert_eq!(error, gone("deleted")),
    }
    content.slice(100, 3 << 20).assert_read(begun);
    content.assert_read(untouched);
}

fn another_object_under_the_same_id(store: &Store) {
    let (content, other) = (pattern(1, SIZE), pattern(2, SIZE));
    let object = put(store, "file", &content);
    let reader = store.open_final("file").expect("a reader");
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    let mut after = None;
    loop {
        after = store.purge_gone(u64::MAX, after.as_deref()).expect("a step").1;
        if after.is_none() {
            break;
        }
    }
    match reader.stream(..) {
        Ok(stream) => content.assert_read(stream),
        Err(error) => assert_eq!(error, Error::NotFound),
    }
    let later = put(store, "file", &other);
    match reader.stream(..) {
        Ok(stream) => content.assert_read(stream),
        Err(error) => assert_eq!(error, Error::NotFound),
    }
    assert_eq!(*reader.receipt(), object);
    other.assert_read(store.open_final("file").expect("a reader").stream(..).expect("a stream"));
    keep_object(store, &later, &other);
}

/// A reader counts as one open stream until it is dropped.
fn too_many_open(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    let mut readers = Vec::new();
    let refusal = loop {
        match store.open_final("file") {
            Ok(reader) => readers.push(reader),
            Err(error) => break error,
        }
        assert!(readers.len() < 100_000, "no limit");
    };
    assert!(matches!(refusal, Error::Unavailable { .. }), "{refusal:?}");
    let reader = readers.pop().expect("a reader");
    assert!(matches!(reader.stream(..), Err(Error::Unavailable { .. })));
    drop(readers.pop());
    content.assert_read(reader.stream(..).expect("a stream"));
    drop(readers);
    keep_object(store, &object, &content);
}
