//! Streams that are open during other operations.

use portico_guest::StreamError;
use portico_guest_conformance::*;
use std::io::Read;

cases! {
    two_of_one_object,
    many_interleaved,
    object_deleted_meanwhile,
    part_deleted_meanwhile,
    session_deleted_meanwhile,
    parts_assembled_meanwhile,
    placed_parts_assembled_meanwhile,
    part_put_again_meanwhile,
    neighbours_written_meanwhile,
    store_handle_dropped,
    dropped_half_way,
    dropped_half_way_by_a_put,
    ends_once_and_for_all,
    polled,
    skipped,
    deleted_while_it_is_copied,
    failures_of_another_kind,
}

/// Reads and checks the first bytes of a stream.
#[track_caller]
fn begin(stream: &mut ReadStream, content: &Content) {
    let mut bytes = [0; 1_000];
    stream.read_exact(&mut bytes).expect("bytes");
    assert!(content.slice(0, 1_000).bytes() == bytes);
}

/// Reads and checks the remaining bytes of a stream.
#[track_caller]
fn finish(stream: ReadStream, content: &Content) {
    content.slice(1_000, content.size()).assert_read(stream);
}

fn two_of_one_object(store: &Store) {
    let content = pattern(1, 900_000);
    let object = put(store, "file", &content);
    let (mut first, mut second) = (read(store, &object), read(store, &object));
    begin(&mut first, &content);
    begin(&mut second, &content);
    finish(second, &content);
    finish(first, &content);
    keep_object(store, &object, &content);
}

fn many_interleaved(store: &Store) {
    let contents: Vec<Content> = (0..16).map(|seed| pattern(seed, 300_000)).collect();
    let mut streams = Vec::new();
    for (number, content) in (0..).zip(&contents) {
        let object = put(store, &format!("file-{number}"), content);
        let part = put_placed(store, "session", number, content, 300_000 * u64::from(number));
        streams.push((read(store, &object), content));
        streams.push((read_part(store, &part), content));
        keep_object(store, &object, content);
        keep_part(store, &part, content);
    }
    for start in (0..300_000).step_by(60_000) {
        for (stream, content) in &mut streams {
            content.slice(start, start + 60_000).assert_read_next(stream);
        }
    }
    for (stream, _) in streams {
        Content::default().assert_read(stream);
    }
}

fn object_deleted_meanwhile(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    let untouched = read(store, &object);
    let range = store.get_final_stream(&object.bucket, &object.key, 2_000_000..).expect("a stream");
    let mut begun = read(store, &object);
    begin(&mut begun, &content);
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    refused(store.get_final_stream(&object.bucket, &object.key, ..), gone("deleted"));
    finish(begun, &content);
    content.assert_read(untouched);
    content.slice(2_000_000, 3 << 20).assert_read(range);
}

fn part_deleted_meanwhile(store: &Store) {
    let content = pattern(1, 3 << 20);
    for part in [put_part(store, "session", 1, &content), put_placed(store, "session", 2, &content, 1_000)] {
        let untouched = read_part(store, &part);
        let mut begun = read_part(store, &part);
        begin(&mut begun, &content);
        assert_eq!(store.delete_temp_part(&part.temp_key), Ok(true));
        refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
        finish(begun, &content);
        content.assert_read(untouched);
    }
}

fn session_deleted_meanwhile(store: &Store) {
    let content = pattern(1, 3 << 20);
    let parts = [put_part(store, "session", 1, &content), put_placed(store, "session", 2, &content, 0)];
    let mut streams = parts.each_ref().map(|part| read_part(store, part));
    begin(&mut streams[0], &content);
    begin(&mut streams[1], &content);
    assert_eq!(store.delete_session_parts("session"), Ok(2));
    let other = pattern(2, 3 << 20);
    let again = put_placed(store, "session", 2, &other, 0);
    for stream in streams {
        finish(stream, &content);
    }
    keep_part(store, &again, &other);
}

fn parts_assembled_meanwhile(store: &Store) {
    let (first, second) = (pattern(1, 700_000), pattern(2, 800_000));
    let parts = [put_part(store, "session", 1, &first), put_part(store, "session", 2, &second)];
    assembled_meanwhile(store, &parts, &[first, second]);
}

fn placed_parts_assembled_meanwhile(store: &Store) {
    let (first, second) = (pattern(1, 700_000), pattern(2, 800_000));
    let parts = [put_placed(store, "session", 1, &first, 0), put_placed(store, "session", 2, &second, 700_000)];
    assembled_meanwhile(store, &parts, &[first, second]);
}

fn assembled_meanwhile(store: &Store, parts: &[TempPart; 2], contents: &[Content; 2]) {
    let mut streams = parts.each_ref().map(|part| read_part(store, part));
    let untouched = parts.each_ref().map(|part| read_part(store, part));
    begin(&mut streams[0], &contents[0]);
    begin(&mut streams[1], &contents[1]);
    let keys = parts.each_ref().map(|part| part.temp_key.clone());
    let object = store.assemble_final("file", keys, FinalOptions::new()).expect("an object");
    let whole = contents[0].clone().then(&contents[1]);
    for (stream, content) in streams.into_iter().zip(contents) {
        finish(stream, content);
    }
    for (stream, content) in untouched.into_iter().zip(contents) {
        content.assert_read(stream);
    }
    let open = read(store, &object);
    keep_object(store, &object, &whole);
    whole.assert_read(open);
}

fn part_put_again_meanwhile(store: &Store) {
    let (first, second) = (pattern(1, 3 << 20), pattern(2, 3 << 20));
    for (number, offset) in [(1, None), (2, Some(0))] {
        let put = |content| match offset {
            Some(offset) => put_placed(store, "session", number, content, offset),
            None => put_part(store, "session", number, content),
        };
        let part = put(&first);
        let mut stream = read_part(store, &part);
        begin(&mut stream, &first);
        assert_eq!(store.delete_temp_part(&part.temp_key), Ok(true));
        let again = put(&second);
        finish(stream, &first);
        keep_part(store, &again, &second);
    }
}

/// Neighbouring parts are put, fail and are deleted, with and without an offset.
fn neighbours_written_meanwhile(store: &Store) {
    let (before, content, behind) = (pattern(1, 500_000), pattern(2, 2_000_000), pattern(3, 500_000));
    let part = put_placed(store, "session", 2, &content, 500_000);
    let mut stream = read_part(store, &part);
    begin(&mut stream, &content);
    let failing = PartOptions::new().size(500_000).offset(0);
    refused(
        store.put_temp_part("session", 1, pattern(4, 400_000).then_failure(), failing),
        Error::Interrupted { received: 400_000 },
    );
    let first = put_placed(store, "session", 1, &before, 0);
    let last = put_placed(store, "session", 3, &behind, 2_500_000);
    store.delete_temp_part(&first.temp_key).expect("a delete");
    finish(stream, &content);
    keep_part(store, &part, &content);
    keep_part(store, &last, &behind);
}

/// Streams and writers continue after their store is dropped.
fn store_handle_dropped(store: &Store) {
    let content = pattern(1, 900_000);
    let object = put(store, "file", &content);
    let narrow = store.scope("scope").expect("a scope");
    let mut writer = narrow.create_final("file", FinalOptions::new()).expect("a writer");
    let inner = put(&narrow, "other", &content);
    let stream = read(&narrow, &inner);
    drop(narrow);
    content.assert_read(stream);
    assert_eq!(writer.pull(content.source()), Ok(900_000));
    let written = writer.finish(Expected::default()).expect("an object");
    let narrow = store.scope("scope").expect("a scope");
    keep_object(&narrow, &written, &content);
    keep_object(&narrow, &inner, &content);

    let own = Store::open();
    let mut stream = read(&own, &object);
    begin(&mut stream, &content);
    drop(own);
    finish(stream, &content);
    keep_object(store, &object, &content);
}

fn dropped_half_way(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    let part = put_placed(store, "session", 1, &content, 0);
    for _ in 0..200 {
        begin(&mut read(store, &object), &content);
        begin(&mut read_part(store, &part), &content);
        drop(read(store, &object));
    }
    keep_object(store, &object, &content);
    keep_part(store, &part, &content);
}

/// A put stops before the end of its stream.
fn dropped_half_way_by_a_put(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    for _ in 0..20 {
        let source = read(store, &object).into_inner();
        let refusal = Error::SizeMismatch { expected: 1_000_000, actual: 1_000_001 };
        refused(store.put_final("short", source, FinalOptions::new().size(1_000_000)), refusal);
    }
    keep_object(store, &object, &content);
}

fn ends_once_and_for_all(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    let stream = read(store, &object).into_inner();
    assert_eq!(stream.blocking_read(100).expect("bytes"), content.bytes());
    for _ in 0..3 {
        assert!(matches!(stream.blocking_read(100), Err(StreamError::Closed)));
        assert!(matches!(stream.read(100), Err(StreamError::Closed)));
        stream.subscribe().block();
    }
    keep_object(store, &object, &content);
}

/// A stream makes progress when it is polled and not read.
fn polled(store: &Store) {
    let content = pattern(1, 900_000);
    let object = put(store, "file", &content);
    let stream = read(store, &object).into_inner();
    let mut bytes = Vec::new();
    loop {
        stream.subscribe().block();
        match stream.read(50_000) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(bytes == content.bytes());
    keep_object(store, &object, &content);
}

fn skipped(store: &Store) {
    let content = pattern(1, 900_000);
    let object = put(store, "file", &content);
    let stream = read(store, &object).into_inner();
    let mut at = 0;
    while at < 654_321 {
        at += stream.blocking_skip(654_321 - at).expect("bytes");
    }
    content.slice(at, 900_000).assert_read(ReadStream::new(stream));
    keep_object(store, &object, &content);
}

fn deleted_while_it_is_copied(store: &Store) {
    let content = pattern(1, 3 << 20);
    let (object, part) = (put(store, "file", &content), put_part(store, "session", 1, &content));
    let (from_object, from_part) = (read(store, &object).into_inner(), read_part(store, &part).into_inner());
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    store.delete_temp_part(&part.temp_key).expect("a delete");
    let copy = store.put_final("copy", from_object, FinalOptions::new()).expect("a put");
    keep_object(store, &copy, &content);
    let copy = store.put_temp_part("session", 1, from_part, PartOptions::new()).expect("a put");
    keep_part(store, &copy, &content);
}

/// A failure of another kind has no storage error.
fn failures_of_another_kind(_: &Store) {
    let mut stream = ReadStream::new(pattern(1, 10).then_failure());
    let error = stream.read_to_end(&mut Vec::new()).expect_err("its failure");
    assert_eq!(Error::of_io(&error), None);
    assert!(error.to_string().contains("fails on purpose"), "{error}");
}
