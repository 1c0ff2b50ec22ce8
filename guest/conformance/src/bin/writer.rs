//! Writers: content that a guest generates.

use portico_guest_conformance::*;
use std::io::Write;

cases! {
    nothing_written,
    sinks_and_pulls_in_turn,
    sizes,
    many_small_writes,
    one_large_write,
    a_part,
    a_placed_part,
    nothing_is_visible_before_the_end,
    dropped_before_any_byte,
    dropped_after_bytes,
    dropped_after_a_flush,
    dropped_after_a_failure,
    a_sink_dropped_without_a_flush,
    a_sink_dropped_without_a_write,
    expected_at_the_end,
    expected_at_both_ends,
    too_many_bytes_in_a_sink,
    too_many_bytes_in_a_pull,
    failed_stays_failed,
    options_are_kept,
    many_at_once,
}

const NOTHING: Expected = Expected { size: None, sha256: None, others: Vec::new() };

fn writer(store: &Store) -> Writer<StoredObject> {
    store.create_final("file", FinalOptions::new()).expect("a writer")
}

fn write(writer: &mut Writer<StoredObject>, content: &Content) {
    let mut sink = writer.sink().expect("a sink");
    content.write_to(&mut sink);
    sink.flush().expect("a flush");
}

fn nothing_written(store: &Store) {
    let content = pattern(1, 0);
    keep_object(store, &writer(store).finish(NOTHING).expect("an object"), &content);
    let writer = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    keep_part(store, &writer.finish(NOTHING).expect("a part"), &content);
}

fn sinks_and_pulls_in_turn(store: &Store) {
    let pieces: Vec<Content> = (1..=8).map(|seed| pattern(seed, u64::from(seed) * 30_011 - 30_011)).collect();
    let mut writer = writer(store);
    for (turn, piece) in pieces.iter().enumerate() {
        match turn % 3 {
            0 => write(&mut writer, piece),
            1 => assert_eq!(writer.pull(piece.source()), Ok(piece.size())),
            // Without a flush.
            _ => piece.write_to(&mut writer.sink().expect("a sink")),
        }
    }
    let whole = pieces.iter().fold(Content::default(), Content::then);
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &whole);
}

fn sizes(store: &Store) {
    for middle in [64 << 10, 256 << 10, 512 << 10, 5 << 20] {
        for size in [middle - 1, middle, middle + 1] {
            let content = pattern(size as u32, size);
            let mut writer = store.create_final(&format!("size-{size}"), FinalOptions::new()).expect("a writer");
            write(&mut writer, &content);
            keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
        }
    }
}

fn many_small_writes(store: &Store) {
    let content = pattern(1, 20_000);
    let mut writer = writer(store);
    let mut sink = writer.sink().expect("a sink");
    for bytes in content.bytes().chunks(3) {
        sink.write_all(bytes).expect("a write");
    }
    drop(sink);
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
}

fn one_large_write(store: &Store) {
    let content = pattern(1, 6 << 20);
    let mut writer = writer(store);
    writer.sink().expect("a sink").write_all(&content.bytes()).expect("a write");
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
}

fn a_part(store: &Store) {
    let (first, second) = (pattern(1, 100_000), pattern(2, 600_000));
    let whole = first.clone().then(&second);
    let options = PartOptions::new().want_sha256();
    let mut writer = store.create_temp_part("session", 7, options).expect("a writer");
    first.write_to(&mut writer.sink().expect("a sink"));
    assert_eq!(writer.pull(second.source()), Ok(600_000));
    assert_parts(store, "session", []);
    let part = writer.finish(NOTHING).expect("a part");
    assert_eq!((part.part_number, part.size, part.sha256), (7, 700_000, Some(whole.sha256())));
    assert_parts(store, "session", [&part]);
    keep_part(store, &part, &whole);
}

fn a_placed_part(store: &Store) {
    let content = pattern(1, 700_000);
    let options = PartOptions::new().size(700_000).offset(1_000);
    let mut writer = store.create_temp_part("session", 7, options).expect("a writer");
    content.write_to(&mut writer.sink().expect("a sink"));
    let part = writer.finish(Expected { size: Some(700_000), sha256: None, others: Vec::new() }).expect("a part");
    assert_eq!(part.offset, Some(1_000));
    keep_part(store, &part, &content);
}

fn nothing_is_visible_before_the_end(store: &Store) {
    let content = pattern(1, 2 << 20);
    let mut writer = writer(store);
    write(&mut writer, &content);
    assert_free(store, "file");
    assert_eq!(store.finals().count(), 0);
    // The key can be derived from the id, but no object exists.
    let (info, content_of_other) = (store.info(), pattern(2, 1));
    let other = put(store, "other", &content_of_other);
    refused(store.get_final_stream(&info.bucket, &other.key.replace("other", "file"), ..), Error::NotFound);
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
    keep_object(store, &other, &content_of_other);
}

/// Drops writers of both kinds after some operations. They leave nothing, and the names are free.
fn dropped(store: &Store, act: impl Fn(&mut dyn FnMut(&Content), &mut dyn FnMut(InputStream) -> Result<u64>)) {
    {
        let writer = std::cell::RefCell::new(writer(store));
        act(&mut |content| write(&mut writer.borrow_mut(), content), &mut |source| writer.borrow_mut().pull(source));
    }
    for options in [PartOptions::new(), PartOptions::new().size(2 << 20).offset(0)] {
        let writer = std::cell::RefCell::new(store.create_temp_part("session", 1, options).expect("a writer"));
        act(
            &mut |content| {
                let mut writer = writer.borrow_mut();
                let mut sink = writer.sink().expect("a sink");
                content.write_to(&mut sink);
                sink.flush().expect("a flush");
            },
            &mut |source| writer.borrow_mut().pull(source),
        );
    }
    assert_free(store, "file");
    assert_eq!(store.finals().count(), 0);
    assert_eq!(store.sessions().count(), 0);
    let content = pattern(9, 1_000);
    keep_object(store, &put(store, "file", &content), &content);
    keep_part(store, &put_placed(store, "session", 1, &content, 0), &content);
}

fn dropped_before_any_byte(store: &Store) {
    dropped(store, |_, _| {});
}

fn dropped_after_bytes(store: &Store) {
    dropped(store, |_, pull| assert_eq!(pull(pattern(1, 1_500_000).source()), Ok(1_500_000)));
}

fn dropped_after_a_flush(store: &Store) {
    dropped(store, |write, _| write(&pattern(1, 1_500_000)));
}

fn dropped_after_a_failure(store: &Store) {
    dropped(store, |write, pull| {
        write(&pattern(1, 500_000));
        refused(pull(pattern(2, 500_000).then_failure()), Error::Interrupted { received: 1_000_000 });
    });
}

/// Bytes of a successful write belong to the content after the sink is dropped.
fn a_sink_dropped_without_a_flush(store: &Store) {
    let content = pattern(1, 1_000_000);
    let mut writer = writer(store);
    let mut at = 0;
    while at < content.size() {
        let end = content.size().min(at + 77_777);
        content.slice(at, end).write_to(&mut writer.sink().expect("a sink"));
        at = end;
    }
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
}

fn a_sink_dropped_without_a_write(store: &Store) {
    let content = pattern(1, 1_000);
    let mut writer = writer(store);
    for _ in 0..10 {
        drop(writer.sink().expect("a sink"));
    }
    writer.sink().expect("a sink").flush().expect("a flush");
    assert_eq!(writer.pull(content.source()), Ok(1_000));
    drop(writer.sink().expect("a sink"));
    keep_object(store, &writer.finish(NOTHING).expect("an object"), &content);
}

fn expected_at_the_end(store: &Store) {
    let content = pattern(1, 100_000);
    let (right, wrong) = (content.sha256(), pattern(2, 1).sha256());
    let mismatch = |expected| Error::SizeMismatch { expected, actual: 100_000 };
    for (size, sha256, error) in [
        (Some(99_999), None, mismatch(99_999)),
        (Some(100_001), Some(right), mismatch(100_001)),
        (Some(0), None, mismatch(0)),
        (None, Some(wrong), Error::DigestMismatch),
        (Some(100_000), Some(wrong), Error::DigestMismatch),
    ] {
        let mut writer = writer(store);
        write(&mut writer, &content);
        refused(writer.finish(Expected { size, sha256, others: Vec::new() }), error.clone());
        assert_free(store, "file");

        // The part's digest is expected only at the finish, and is checked all the same.
        let mut part = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
        part.pull(content.source()).expect("a pull");
        refused(part.finish(Expected { size, sha256, others: Vec::new() }), error);
        assert_parts(store, "session", []);
    }
    let both = Expected { size: Some(100_000), sha256: Some(right), others: Vec::new() };
    let mut writer = writer(store);
    write(&mut writer, &content);
    keep_object(store, &writer.finish(both.clone()).expect("an object"), &content);
    let mut part = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    part.pull(content.source()).expect("a pull");
    keep_part(store, &part.finish(both).expect("a part"), &content);
}

/// The expectations of the options and those of the finish are both checked.
fn expected_at_both_ends(store: &Store) {
    let content = pattern(1, 100_000);
    let (right, wrong) = (content.sha256(), pattern(2, 1).sha256());
    let size = FinalOptions::new().size(100_000);
    let finish = |options: &FinalOptions, expected| {
        let mut writer = store.create_final("file", options.clone()).expect("a writer");
        write(&mut writer, &content);
        writer.finish(expected)
    };
    let expected = |size, sha256| Expected { size, sha256, others: Vec::new() };
    refused(finish(&size, expected(Some(1), None)), Error::SizeMismatch { expected: 1, actual: 100_000 });
    refused(finish(&size, expected(None, Some(wrong))), Error::DigestMismatch);
    refused(finish(&size.clone().sha256(right), expected(None, Some(wrong))), Error::DigestMismatch);
    refused(finish(&size.clone().sha256(wrong), expected(None, Some(right))), Error::DigestMismatch);
    refused(finish(&size.clone().sha256(wrong), NOTHING), Error::DigestMismatch);
    assert_free(store, "file");
    let object = finish(&size.sha256(right), expected(Some(100_000), Some(right))).expect("an object");
    keep_object(store, &object, &content);
}

fn too_many_bytes_in_a_sink(store: &Store) {
    let refusal = Error::SizeMismatch { expected: 1_000, actual: 1_001 };
    let mut writer = store.create_final("file", FinalOptions::new().size(1_000)).expect("a writer");
    let mut sink = writer.sink().expect("a sink");
    sink.write_all(&[1; 1_000]).expect("all that is expected");
    sink.flush().expect("a flush");
    // A write returns before its bytes are stored, so the flush may report the failure.
    let failure = stream_error(sink.write_all(&[2]).and_then(|()| sink.flush()));
    assert_eq!(failure, refusal);
    assert_eq!(stream_error(sink.write_all(&[3])), refusal);
    drop(sink);
    refused(writer.pull(endless(1)), refusal.clone());
    refused(writer.finish(NOTHING), refusal);
    assert_free(store, "file");
}

fn too_many_bytes_in_a_pull(store: &Store) {
    let refusal = Error::SizeMismatch { expected: 1_000, actual: 1_001 };
    for options in [PartOptions::new().size(1_000), PartOptions::new().size(1_000).offset(0)] {
        let mut writer = store.create_temp_part("session", 1, options).expect("a writer");
        assert_eq!(writer.pull(pattern(1, 999).source()), Ok(999));
        refused(writer.pull(endless(2)), refusal.clone());
        refused(writer.sink(), refusal.clone());
        refused(writer.finish(NOTHING), refusal.clone());
        assert_parts(store, "session", []);
    }
}

fn failed_stays_failed(store: &Store) {
    let failure = Error::Interrupted { received: 60_000 };
    let mut writer = writer(store);
    assert_eq!(writer.pull(pattern(1, 10_000).source()), Ok(10_000));
    refused(writer.pull(pattern(2, 50_000).then_failure()), failure.clone());
    refused(writer.pull(pattern(3, 1).source()), failure.clone());
    fixture::await_drop(3);
    refused(writer.sink(), failure.clone());
    refused(writer.pull(endless(4)), failure.clone());
    refused(writer.finish(Expected { size: Some(60_000), sha256: None, others: Vec::new() }), failure);
    assert_free(store, "file");
}

fn options_are_kept(store: &Store) {
    let content = pattern(1, 1_000);
    let options = FinalOptions::new().content_type("image/png").metadata("b", "1").metadata("a", "2");
    let mut writer = store.create_final("file", options.clone()).expect("a writer");
    write(&mut writer, &content);
    let object = writer.finish(NOTHING).expect("an object");
    assert_eq!((&object.content_type, &object.metadata), (&options.content_type, &options.metadata));
    keep_object(store, &object, &content);
}

/// Writers of both kinds, alternating, each with its own bytes.
fn many_at_once(store: &Store) {
    let contents: Vec<Content> = (0..16).map(|seed| pattern(seed, 150_000)).collect();
    let mut finals: Vec<Writer<StoredObject>> =
        (0..16).map(|n| store.create_final(&format!("file-{n}"), FinalOptions::new()).expect("a writer")).collect();
    let mut parts: Vec<Writer<TempPart>> = (0..16)
        .map(|n| {
            let options = PartOptions::new().size(150_000).offset(150_000 * u64::from(n));
            store.create_temp_part("session", n, options).expect("a writer")
        })
        .collect();
    for start in (0..150_000).step_by(30_000) {
        for (n, content) in contents.iter().enumerate() {
            let slice = content.slice(start, start + 30_000);
            slice.write_to(&mut finals[n].sink().expect("a sink"));
            slice.write_to(&mut parts[n].sink().expect("a sink"));
        }
    }
    for (writer, content) in finals.into_iter().zip(&contents) {
        keep_object(store, &writer.finish(NOTHING).expect("an object"), content);
    }
    for (writer, content) in parts.into_iter().zip(&contents).rev() {
        keep_part(store, &writer.finish(NOTHING).expect("a part"), content);
    }
}
