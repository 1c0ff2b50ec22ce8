//! Final objects that must not be created, because of their source or their expectations.

use portico_guest::bindings::portico::storage::storage as wit;
use portico_guest_conformance::*;

cases! {
    source_fails_at_once,
    source_fails_after_some_bytes,
    source_fails_after_the_expected_size,
    expected_size,
    too_short,
    too_long,
    endless_but_expected_short,
    expected_nothing,
    expected_digest,
    wrong_digest,
    right_digest_of_other_size,
    expectations_of_no_form,
    expected_beyond_the_limit,
    beyond_the_limit [needs="small-limit"],
    source_is_consumed,
    source_with_a_pollable,
}

fn put_fails(store: &Store, content: InputStream, options: FinalOptions, error: Error) {
    refused(store.put_final("file", content, options), error);
    assert_free(store, "file");
    assert_eq!(store.finals().count(), 0);
}

/// After a failure the name is free.
fn put_succeeds(store: &Store) {
    let content = pattern(1_000, 1_000);
    keep_object(store, &put(store, "file", &content), &content);
}

fn source_fails_at_once(store: &Store) {
    put_fails(store, pattern(1, 0).then_failure(), FinalOptions::new(), Error::Interrupted { received: 0 });
    put_succeeds(store);
}

fn source_fails_after_some_bytes(store: &Store) {
    for received in [1, 50_000, 65_537, 512 << 10, (1 << 20) + 1, 4 << 20] {
        let options = FinalOptions::new();
        put_fails(store, pattern(1, received).then_failure(), options, Error::Interrupted { received });
        let options = FinalOptions::new().size(5 << 20).sha256(pattern(1, 5 << 20).sha256());
        put_fails(store, pattern(1, received).then_failure(), options, Error::Interrupted { received });
    }
    put_succeeds(store);
}

/// A source that fails after its last byte has not reached its end.
fn source_fails_after_the_expected_size(store: &Store) {
    let content = pattern(1, 100_000);
    let options = FinalOptions::new().size(content.size()).sha256(content.sha256());
    put_fails(store, content.then_failure(), options, Error::Interrupted { received: 100_000 });
    put_succeeds(store);
}

fn expected_size(store: &Store) {
    for (seed, size) in [(1, 0), (2, 1), (3, 600_000)] {
        let content = pattern(seed, size);
        let id = format!("size-{size}");
        let object = store.put_final(&id, content.source(), FinalOptions::new().size(size)).expect("a put");
        keep_object(store, &object, &content);
    }
}

fn too_short(store: &Store) {
    for (size, expected) in [(0, 1), (99, 100), (600_000, 600_001), (1, u64::MAX >> 25)] {
        let options = FinalOptions::new().size(expected);
        match store.put_final("file", pattern(1, size).source(), options) {
            Err(Error::TooLarge { limit }) => assert!(limit < expected, "{limit}"),
            put => refused(put, Error::SizeMismatch { expected, actual: size }),
        }
        assert_free(store, "file");
    }
    put_succeeds(store);
}

fn too_long(store: &Store) {
    for (size, expected) in [(1, 0), (101, 100), (600_001, 600_000), (2 << 20, 512 << 10)] {
        let error = Error::SizeMismatch { expected, actual: expected + 1 };
        put_fails(store, pattern(1, size).source(), FinalOptions::new().size(expected), error);
    }
    put_succeeds(store);
}

fn endless_but_expected_short(store: &Store) {
    let error = Error::SizeMismatch { expected: 1_000_000, actual: 1_000_001 };
    put_fails(store, endless(1), FinalOptions::new().size(1_000_000), error);
    put_succeeds(store);
}

fn expected_nothing(store: &Store) {
    let error = Error::SizeMismatch { expected: 0, actual: 1 };
    put_fails(store, endless(1), FinalOptions::new().size(0), error);
    put_succeeds(store);
}

fn expected_digest(store: &Store) {
    for (seed, size) in [(1, 0), (2, 1), (3, 600_000)] {
        let content = pattern(seed, size);
        let options = FinalOptions::new().sha256(content.sha256());
        let object = store.put_final(&format!("digest-{size}"), content.source(), options).expect("a put");
        keep_object(store, &object, &content);
    }
}

fn wrong_digest(store: &Store) {
    for size in [0, 1, 600_000] {
        let digest = pattern(2, size.max(1)).sha256();
        put_fails(store, pattern(1, size).source(), FinalOptions::new().sha256(digest), Error::DigestMismatch);
        let both = FinalOptions::new().size(size).sha256(digest);
        put_fails(store, pattern(1, size).source(), both, Error::DigestMismatch);
    }
    put_succeeds(store);
}

fn right_digest_of_other_size(store: &Store) {
    let content = pattern(1, 1_000);
    let error = Error::SizeMismatch { expected: 999, actual: 1_000 };
    put_fails(store, content.source(), FinalOptions::new().size(999).sha256(content.sha256()), error);
    let error = Error::SizeMismatch { expected: 1_001, actual: 1_000 };
    put_fails(store, content.source(), FinalOptions::new().size(1_001).sha256(content.sha256()), error);
    put_succeeds(store);
}

/// Arguments that the SDK's types rule out.
fn expectations_of_no_form(store: &Store) {
    let raw_store = wit::open();
    let expectations = [
        (None, Some(Vec::new())),
        (None, Some(vec![0; 31])),
        (None, Some(vec![0; 33])),
        (Some(1 << 63), None),
        (Some(u64::MAX), Some(vec![0; 32])),
    ];
    for (size, sha256) in expectations {
        let expected = wit::Expected { size, sha256, others: Vec::new() };
        let options = wit::FinalOptions {
            expected: expected.clone(),
            if_exists: wit::IfExists::Fail,
            content_type: None,
            metadata: Vec::new(),
        };
        let invalid = |error| assert!(matches!(error, wit::Error::InvalidArgument(Argument::Expected)), "{error:?}");
        invalid(raw_store.put_final("file", raw(pattern(1, 10).source()), &options).expect_err("a refusal"));
        invalid(raw_store.create_final("file", &options).expect_err("a refusal"));
        invalid(raw_store.assemble_final("file", &[], &options).expect_err("a refusal"));
        let options = wit::PartOptions {
            expected: expected.clone(),
            if_exists: wit::IfExists::Fail,
            offset: None,
            want_sha256: false,
            unless_final: None,
            limit: None,
            keep_prefix: false,
            previous: None,
            compute: Vec::new(),
        };
        invalid(raw_store.put_temp_part("session", 1, raw(pattern(1, 10).source()), &options).expect_err("a refusal"));
        invalid(raw_store.create_temp_part("session", 1, &options).expect_err("a refusal"));
        let none = wit::Expected { size: None, sha256: None, others: Vec::new() };
        let options = wit::FinalOptions {
            expected: none,
            if_exists: wit::IfExists::Fail,
            content_type: None,
            metadata: Vec::new(),
        };
        let writer = raw_store.create_final("file", &options).expect("a writer");
        invalid(wit::Writer::finish(writer, &expected).expect_err("a refusal"));
    }
    assert_free(store, "file");
}

fn expected_beyond_the_limit(store: &Store) {
    let limit = store.info().max_object_size;
    for size in [limit + 1, i64::MAX as u64] {
        put_fails(store, endless(1), FinalOptions::new().size(size), Error::TooLarge { limit });
        let part = store.put_temp_part("session", 1, endless(1), PartOptions::new().size(size));
        refused(part, Error::TooLarge { limit });
        refused(store.create_final("file", FinalOptions::new().size(size)), Error::TooLarge { limit });
        refused(store.create_temp_part("session", 1, PartOptions::new().size(size)), Error::TooLarge { limit });
    }
}

fn beyond_the_limit(store: &Store) {
    let limit = store.info().max_object_size;
    put_fails(store, endless(1), FinalOptions::new(), Error::TooLarge { limit });
    put_fails(store, pattern(1, limit + 1).source(), FinalOptions::new(), Error::TooLarge { limit });
    refused(store.put_temp_part("session", 1, endless(1), PartOptions::new()), Error::TooLarge { limit });
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    refused(writer.pull(endless(1)), Error::TooLarge { limit });
    refused(writer.finish(Expected::default()), Error::TooLarge { limit });

    let content = pattern(1, limit);
    keep_object(store, &put(store, "file", &content), &content);
}

/// A put consumes its source, also on failure.
fn source_is_consumed(store: &Store) {
    refused_argument(store.put_final("no/name", pattern(1, 10).source(), FinalOptions::new()), Argument::FileId);
    fixture::await_drop(1);
    let options = FinalOptions::new().size(5);
    put_fails(store, endless(2), options, Error::SizeMismatch { expected: 5, actual: 6 });
    fixture::await_drop(2);
    put_fails(store, pattern(3, 10).then_failure(), FinalOptions::new(), Error::Interrupted { received: 10 });
    fixture::await_drop(3);
    let content = pattern(4, 10);
    keep_object(store, &put(store, "file", &content), &content);
    fixture::await_drop(4);
    refused(store.put_final("file", pattern(5, 10).source(), FinalOptions::new()), Error::Conflict);
    fixture::await_drop(5);
}

fn source_with_a_pollable(store: &Store) {
    let content = pattern(1, 10).source();
    let pollable = content.subscribe();
    let invalid = Error::InvalidArgument(Argument::Content);
    put_fails(store, content, FinalOptions::new(), invalid.clone());
    fixture::await_drop(1);
    pollable.block();
    drop(pollable);

    let content = pattern(2, 10).source();
    let pollable = content.subscribe();
    refused(store.put_temp_part("session", 1, content, PartOptions::new()), invalid.clone());
    fixture::await_drop(2);
    drop(pollable);

    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    let content = pattern(3, 10).source();
    let pollable = content.subscribe();
    refused(writer.pull(content), invalid.clone());
    fixture::await_drop(3);
    refused(writer.finish(Expected::default()), invalid);
    drop(pollable);
    put_succeeds(store);
}
