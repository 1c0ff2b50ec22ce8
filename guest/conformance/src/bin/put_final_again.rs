//! Puts to a file id that is taken.

use portico_guest_conformance::*;

cases! {
    fails,
    same_content_is_replayed,
    same_content_with_other_options,
    other_content_conflicts,
    source_of_a_replay_fails,
    replay_against_expectations,
    two_writers_interleaved,
    two_writers_of_the_same_content,
    a_put_while_a_writer_is_open,
    deleted_stays_taken,
    puts_at_once [instances=4],
    puts_of_the_same_content_at_once [instances=4],
}

fn fails(store: &Store) {
    let (first, second) = (pattern(1, 1_000), pattern(2, 1_000));
    let object = put(store, "file", &first);
    refused(store.put_final("file", second.source(), FinalOptions::new()), Error::Conflict);
    refused(store.put_final("file", first.source(), FinalOptions::new()), Error::Conflict);
    refused(store.put_final("file", endless(3), FinalOptions::new()), Error::Conflict);
    refused(store.create_final("file", FinalOptions::new()), Error::Conflict);
    keep_object(store, &object, &first);
}

fn same_content_is_replayed(store: &Store) {
    for (seed, size) in [(1, 0), (2, 1), (3, 700_000)] {
        let content = pattern(seed, size);
        let id = format!("size-{size}");
        let object = put(store, &id, &content);
        for frame in [10_000, 333_333] {
            let options = FinalOptions::new().same_content_ok();
            let again = store.put_final(&id, content.in_frames_of(frame), options).expect("a replay");
            assert_eq!(again, StoredObject { replayed: true, ..object.clone() });
        }
        let mut writer = store.create_final(&id, FinalOptions::new().same_content_ok()).expect("a writer");
        content.write_to(&mut writer.sink().expect("a sink"));
        let again = writer.finish(Expected::default()).expect("a replay");
        assert_eq!(again, StoredObject { replayed: true, ..object.clone() });
        keep_object(store, &object, &content);
    }
}

/// A replay returns the stored receipt, whatever the options of the second put.
fn same_content_with_other_options(store: &Store) {
    let content = pattern(1, 1_000);
    let options = FinalOptions::new().content_type("text/plain").metadata("key", "first");
    let object = store.put_final("file", content.source(), options).expect("a put");
    let options = FinalOptions::new().content_type("text/html").metadata("key", "second").same_content_ok();
    let again = store.put_final("file", content.source(), options).expect("a replay");
    assert_eq!(again, StoredObject { replayed: true, ..object.clone() });
    keep_object(store, &object, &content);
}

fn other_content_conflicts(store: &Store) {
    let content = pattern(1, 100_000);
    let object = put(store, "file", &content);
    let ok = || FinalOptions::new().same_content_ok();
    for other in [pattern(2, 100_000), pattern(1, 99_999), pattern(1, 100_001), pattern(1, 0)] {
        refused(store.put_final("file", other.source(), ok()), Error::Conflict);
        refused(store.put_final("file", other.source(), ok().size(other.size())), Error::Conflict);
    }
    // Only the last byte differs.
    let mut bytes = content.bytes();
    *bytes.last_mut().expect("bytes") ^= 1;
    let mut writer = store.create_final("file", ok()).expect("a writer");
    std::io::Write::write_all(&mut writer.sink().expect("a sink"), &bytes).expect("a write");
    refused(writer.finish(Expected::default()), Error::Conflict);
    keep_object(store, &object, &content);
}

fn source_of_a_replay_fails(store: &Store) {
    let content = pattern(1, 100_000);
    let object = put(store, "file", &content);
    let options = FinalOptions::new().same_content_ok();
    let put = store.put_final("file", content.then_failure(), options);
    refused(put, Error::Interrupted { received: 100_000 });
    keep_object(store, &object, &content);
}

fn replay_against_expectations(store: &Store) {
    let content = pattern(1, 100_000);
    let object = put(store, "file", &content);
    let ok = || FinalOptions::new().same_content_ok();
    let short = pattern(1, 99_999).source();
    let refusal = Error::SizeMismatch { expected: 100_000, actual: 99_999 };
    refused(store.put_final("file", short, ok().size(100_000)), refusal);
    let wrong = ok().sha256(pattern(2, 1).sha256());
    refused(store.put_final("file", content.source(), wrong), Error::DigestMismatch);
    let right = ok().size(100_000).sha256(content.sha256());
    assert!(store.put_final("file", content.source(), right).expect("a replay").replayed);
    keep_object(store, &object, &content);
}

/// The writer that finishes first makes the object.
fn two_writers_interleaved(store: &Store) {
    let (first, second) = (pattern(1, 300_000), pattern(2, 400_000));
    let mut one = store.create_final("file", FinalOptions::new()).expect("a writer");
    let mut two = store.create_final("file", FinalOptions::new()).expect("a writer");
    one.pull(first.source()).expect("a pull");
    two.pull(second.source()).expect("a pull");
    assert_free(store, "file");
    let object = two.finish(Expected::default()).expect("an object");
    refused(one.finish(Expected::default()), Error::Conflict);
    keep_object(store, &object, &second);
}

fn two_writers_of_the_same_content(store: &Store) {
    let content = pattern(1, 300_000);
    let ok = || FinalOptions::new().same_content_ok();
    let mut one = store.create_final("file", ok()).expect("a writer");
    let mut two = store.create_final("file", ok()).expect("a writer");
    one.pull(content.source()).expect("a pull");
    two.pull(content.source()).expect("a pull");
    let object = one.finish(Expected::default()).expect("an object");
    let again = two.finish(Expected::default()).expect("a replay");
    assert!(!object.replayed);
    assert_eq!(again, StoredObject { replayed: true, ..object.clone() });
    keep_object(store, &object, &content);
}

fn a_put_while_a_writer_is_open(store: &Store) {
    let (written, stored) = (pattern(1, 300_000), pattern(2, 10));
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    writer.pull(written.source()).expect("a pull");
    let object = put(store, "file", &stored);
    refused(writer.finish(Expected::default()), Error::Conflict);
    keep_object(store, &object, &stored);
}

fn deleted_stays_taken(store: &Store) {
    let content = pattern(1, 1_000);
    let object = put(store, "file", &content);
    assert!(store.delete_final(&object.bucket, &object.key).expect("a delete"));
    for options in [FinalOptions::new(), FinalOptions::new().same_content_ok()] {
        refused(store.put_final("file", content.source(), options.clone()), gone("deleted"));
        refused(store.create_final("file", options.clone()), gone("deleted"));
        refused(store.assemble_final("file", [""; 0], options), gone("deleted"));
    }
}

/// Exactly one put makes the object, and the others report this.
fn puts_at_once(store: &Store) {
    let own = fixture::instance();
    for round in 0..5 {
        let id = format!("file-{round}");
        let content = pattern(10 * round + own, 100_000);
        fixture::meet();
        match store.put_final(&id, content.source(), FinalOptions::new()) {
            Ok(object) => {
                keep_object(store, &object, &content);
                fixture::report(&id);
            }
            Err(error) => assert_eq!(error, Error::Conflict),
        }
        fixture::meet();
        let words = fixture::reports();
        assert_eq!(words.iter().filter(|word| **word == id).count(), 1, "{words:?}");
    }
}

fn puts_of_the_same_content_at_once(store: &Store) {
    let content = pattern(1, 300_000);
    fixture::meet();
    let object = store.put_final("file", content.source(), FinalOptions::new().same_content_ok()).expect("a put");
    if !object.replayed {
        keep_object(store, &object, &content);
        fixture::report("stored");
    }
    fixture::meet();
    assert_eq!(fixture::reports(), ["stored"]);
    assert_eq!(store.stat_final("file"), Ok(StoredObject { replayed: false, ..object }));
}
