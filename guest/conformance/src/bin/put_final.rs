//! Final objects from a stream.

use portico_guest_conformance::*;
use std::time::{Duration, SystemTime};

cases! {
    empty,
    one_byte,
    around_64_kib,
    around_512_kib,
    around_5_mib,
    frames_of_any_size,
    receipt_tells_everything,
    names_of_any_form,
    names_differ_by_case,
    content_type_and_metadata_up_to_their_limits,
    from_standard_input,
    from_another_object,
    from_a_range_of_a_part,
    only_what_the_host_pulled_counts,
    a_failure_that_the_guest_swallowed,
}

fn sizes(store: &Store, middle: u64) {
    for size in [middle - 1, middle, middle + 1] {
        let content = pattern(size as u32, size);
        keep_object(store, &put(store, &format!("size-{size}"), &content), &content);
    }
}

fn empty(store: &Store) {
    let content = pattern(1, 0);
    let object = put(store, "empty", &content);
    assert_eq!(object.sha256.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    keep_object(store, &object, &content);
}

fn one_byte(store: &Store) {
    let content = pattern(1, 1);
    keep_object(store, &put(store, "one", &content), &content);
}

fn around_64_kib(store: &Store) {
    sizes(store, 64 << 10);
}

fn around_512_kib(store: &Store) {
    sizes(store, 512 << 10);
}

fn around_5_mib(store: &Store) {
    sizes(store, 5 << 20);
}

fn frames_of_any_size(store: &Store) {
    for (frame, size) in [(1, 3_000), (7, 20_000), (16 << 10, 200_000), ((16 << 10) - 1, 200_000), (3 << 20, 7 << 20)] {
        let content = pattern(frame, size);
        let id = format!("frames-{frame}");
        let object = store.put_final(&id, content.in_frames_of(frame), FinalOptions::new()).expect("a put");
        keep_object(store, &object, &content);
    }
}

fn receipt_tells_everything(store: &Store) {
    let content = pattern(1, 1_000);
    let options = FinalOptions::new().content_type("text/plain; charset=utf-8");
    let options = options.metadata("z", "last first").metadata("a", "").metadata("name", "Übersicht – 表.txt");
    let before = SystemTime::now();
    let object = store.put_final("report.txt", content.source(), options).expect("a put");
    assert_object(&object, &content);
    assert_eq!((object.file_id.as_str(), object.replayed), ("report.txt", false));
    assert_eq!(object.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    let metadata: Vec<_> = object.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("z", "last first"), ("a", ""), ("name", "Übersicht – 表.txt")], "in the order given");
    // By the backend's clock, which may differ from the host's.
    let skew = Duration::from_secs(15 * 60);
    assert!(object.created_at > before - skew && object.created_at < SystemTime::now() + skew, "{object:?}");
    assert_eq!(object.bucket, store.info().bucket);
    assert_finals(store, [&object]);
    keep_object(store, &object, &content);
}

fn names_of_any_form(store: &Store) {
    let longest = "x".repeat(128);
    let ids = ["A-Za-z_0.9~", "-", "_", "~", "0", "a..", "con", "a.b.c", "-rf", "--", "placed", "main", &longest];
    for (seed, id) in (1..).zip(ids) {
        let content = pattern(seed, 10);
        keep_object(store, &put(store, id, &content), &content);
    }
}

fn names_differ_by_case(store: &Store) {
    let (lower, upper) = (pattern(1, 10), pattern(2, 20));
    let (first, second) = (put(store, "name", &lower), put(store, "NAME", &upper));
    keep_object(store, &first, &lower);
    keep_object(store, &second, &upper);
}

fn content_type_and_metadata_up_to_their_limits(store: &Store) {
    let content = pattern(1, 10);
    let mut options = FinalOptions::new().content_type("x ~!".repeat(63) + "end");
    assert_eq!(options.content_type.as_ref().map(String::len), Some(255));
    options = options.metadata("k".repeat(64), "v".repeat((8 << 10) - 64 - 63 * 2));
    for pair in 1..64 {
        options = options.metadata(format!("{pair:02}"), "");
    }
    let bytes: usize = options.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert_eq!((options.metadata.len(), bytes), (64, 8 << 10));
    let object = store.put_final("full", content.source(), options.clone()).expect("a put");
    assert_eq!((&object.content_type, &object.metadata), (&options.content_type, &options.metadata));
    keep_object(store, &object, &content);
}

fn from_standard_input(store: &Store) {
    let object = store.put_final("stdin", portico_guest::stdin(), FinalOptions::new()).expect("a put");
    keep_object(store, &object, &pattern(1, 0));
}

fn from_another_object(store: &Store) {
    let content = pattern(1, 700_000);
    let first = put(store, "first", &content);
    let copy = store.put_final("copy", read(store, &first).into_inner(), FinalOptions::new()).expect("a copy");
    keep_object(store, &first, &content);
    keep_object(store, &copy, &content);
}

fn from_a_range_of_a_part(store: &Store) {
    let content = pattern(1, 700_000);
    let part = put_part(store, "session", 1, &content);
    let range = store.get_temp_part_stream(&part.temp_key, 100_000..600_001).expect("a stream");
    let object = store.put_final("range", range.into_inner(), FinalOptions::new()).expect("a put");
    keep_object(store, &object, &content.slice(100_000, 600_001));
    keep_part(store, &part, &content);
}

/// Bytes that the guest has read from a stream are not stored.
fn only_what_the_host_pulled_counts(store: &Store) {
    let content = pattern(1, 100_000);
    let source = content.source();
    assert_eq!(source.blocking_read(1_000).expect("bytes").len(), 1_000);
    let whole = FinalOptions::new().size(content.size());
    let refusal = Error::SizeMismatch { expected: 100_000, actual: 99_000 };
    refused(store.put_final("rest", source, whole), refusal);
    assert_free(store, "rest");

    let source = content.source();
    source.blocking_read(1_000).expect("bytes");
    let object = store.put_final("rest", source, FinalOptions::new()).expect("a put");
    keep_object(store, &object, &content.slice(1_000, 100_000));
}

/// A stream reports its failure once and then looks finished, so only an expected size reveals missing bytes.
fn a_failure_that_the_guest_swallowed(store: &Store) {
    let swallowed = || {
        let source = pattern(1, 1_000).then_failure();
        source.blocking_read(600).expect("bytes");
        source.blocking_read(400).expect("bytes");
        source.blocking_read(1).expect_err("its failure");
        source
    };
    let refusal = Error::SizeMismatch { expected: 1_000, actual: 0 };
    refused(store.put_final("swallowed", swallowed(), FinalOptions::new().size(1_000)), refusal);
    assert_free(store, "swallowed");

    let object = store.put_final("swallowed", swallowed(), FinalOptions::new()).expect("a put of what was left");
    keep_object(store, &object, &pattern(1, 0));
}
