//! The sink of a writer, through the primitives of `wasi:io` and without the SDK.

use portico_guest::bindings::portico::storage::storage as wit;
use portico_guest::bindings::wasi::io::streams::StreamError;
use portico_guest_conformance::*;

cases! { writes_as_permitted, spliced_from_a_stream, a_sink_tells_its_failure_once }

const NOTHING: wit::Expected = wit::Expected { size: None, sha256: None, others: Vec::new() };

fn writes_as_permitted(store: &Store) {
    let content = pattern(1, 900_000);
    let bytes = content.bytes();
    let options = wit::FinalOptions {
        expected: NOTHING,
        if_exists: wit::IfExists::Fail,
        content_type: None,
        metadata: Vec::new(),
    };
    let writer = wit::open().create_final("file", &options).expect("a writer");
    let sink = writer.sink().expect("a sink");
    let ready = sink.subscribe();
    let mut at = 0;
    while at < bytes.len() {
        ready.block();
        let permit = usize::try_from(sink.check_write().expect("a permit")).expect("a permit that fits");
        let end = bytes.len().min(at + permit);
        sink.write(&bytes[at..end]).expect("a write");
        at = end;
    }
    sink.flush().expect("a flush");
    ready.block();
    sink.check_write().expect("all of it arrived");
    drop(ready);
    drop(sink);
    let wit::Receipt::StoredObject(object) = wit::Writer::finish(writer, &NOTHING).expect("an object") else {
        panic!("the receipt of something else")
    };
    keep_object(store, &StoredObject::from(object), &content);
}

fn spliced_from_a_stream(store: &Store) {
    let content = pattern(1, 900_000);
    let part = put_part(store, "session", 1, &content);
    let options = wit::PartOptions {
        expected: NOTHING,
        if_exists: wit::IfExists::Fail,
        offset: None,
        want_sha256: false,
        unless_final: None,
        limit: None,
        keep_prefix: false,
        previous: None,
        compute: Vec::new(),
    };
    let writer = wit::open().create_temp_part("session", 2, &options).expect("a writer");
    let source = raw(read_part(store, &part).into_inner());
    let sink = writer.sink().expect("a sink");
    let mut moved = 0;
    while moved < 900_000 {
        moved += sink.blocking_splice(&source, 900_000 - moved).expect("bytes");
    }
    drop(sink);
    let wit::Receipt::TempPart(copy) = wit::Writer::finish(writer, &NOTHING).expect("a part") else {
        panic!("the receipt of something else")
    };
    keep_part(store, &part, &content);
    keep_part(store, &TempPart::from(copy), &content);
}

/// A sink reports a failure once, with its storage error, and is closed then.
fn a_sink_tells_its_failure_once(store: &Store) {
    let expected = wit::Expected { size: Some(5), sha256: None, others: Vec::new() };
    let options = wit::PartOptions {
        expected,
        if_exists: wit::IfExists::Fail,
        offset: None,
        want_sha256: false,
        unless_final: None,
        limit: None,
        keep_prefix: false,
        previous: None,
        compute: Vec::new(),
    };
    let mismatch =
        |error: &wit::Error| matches!(error, wit::Error::SizeMismatch(wit::SizeMismatch { expected: 5, actual: 6 }));
    let writer = wit::open().create_temp_part("session", 1, &options).expect("a writer");
    let sink = writer.sink().expect("a sink");
    let failure = sink.blocking_write_and_flush(b"123456").expect_err("a failure");
    let StreamError::LastOperationFailed(failure) = failure else { panic!("{failure:?}") };
    assert!(wit::error_of(&failure).is_some_and(|error| mismatch(&error)), "{failure:?}");
    for _ in 0..3 {
        assert!(matches!(sink.check_write(), Err(StreamError::Closed)));
        assert!(matches!(sink.blocking_flush(), Err(StreamError::Closed)));
    }
    drop(sink);
    let finish = wit::Writer::finish(writer, &NOTHING).expect_err("the failure again");
    assert!(mismatch(&finish), "{finish:?}");
    assert_parts(store, "session", []);
}
