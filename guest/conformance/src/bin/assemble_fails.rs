//! Assemblies that fail: all parts remain, and a correct assembly then succeeds.

use portico_guest_conformance::*;

cases! {
    a_part_twice,
    a_part_that_is_not_there,
    a_part_of_another_scope,
    wrong_digest,
    wrong_size,
    name_taken,
    other_content_there,
    name_gone,
    more_parts_than_allowed,
    too_large [needs="small-limit"],
    two_at_once [instances=2],
    the_same_twice_at_once [instances=2],
}

/// Puts two parts with an offset and one without, in order.
fn parts(store: &Store) -> ([TempPart; 3], Content) {
    let contents = [pattern(1, 100_000), pattern(2, 200_000), pattern(3, 300_000)];
    let parts = [
        put_placed(store, "session", 1, &contents[0], 0),
        put_placed(store, "session", 2, &contents[1], 100_000),
        put_part(store, "session", 3, &contents[2]),
    ];
    let whole = contents.iter().fold(Content::default(), Content::then);
    (parts, whole)
}

fn keys(parts: &[TempPart]) -> Vec<&str> {
    parts.iter().map(|part| part.temp_key.as_str()).collect()
}

fn fails(store: &Store, keys: &[&str], options: FinalOptions, error: Error) {
    refused(store.assemble_final("file", keys.iter().copied(), options), error);
}

/// Checks that all parts still exist and make the object.
fn succeeds(store: &Store, parts: &[TempPart; 3], whole: &Content) {
    assert_free(store, "file");
    assert_parts(store, "session", parts);
    let mut at = 0;
    for part in parts {
        whole.slice(at, at + part.size).assert_read(read_part(store, part));
        at += part.size;
    }
    let options = FinalOptions::new().size(whole.size()).sha256(whole.sha256());
    let object = store.assemble_final("file", keys(parts), options).expect("an object");
    assert_parts(store, "session", []);
    keep_object(store, &object, whole);
}

fn a_part_twice(store: &Store) {
    let (parts, whole) = parts(store);
    let twice = [&*parts[0].temp_key, &parts[1].temp_key, &parts[0].temp_key];
    fails(store, &twice, FinalOptions::new(), Error::InvalidArgument(Argument::Parts));
    fails(store, &twice[..1].repeat(2), FinalOptions::new(), Error::InvalidArgument(Argument::Parts));
    succeeds(store, &parts, &whole);
}

fn a_part_that_is_not_there(store: &Store) {
    let (parts, whole) = parts(store);
    let deleted = put_part(store, "session", 4, &pattern(4, 10));
    store.delete_temp_part(&deleted.temp_key).expect("a delete");
    for at in 0..=3 {
        let mut keys = keys(&parts);
        keys.insert(at, &deleted.temp_key);
        fails(store, &keys, FinalOptions::new(), Error::NotFound);
    }
    succeeds(store, &parts, &whole);
}

fn a_part_of_another_scope(store: &Store) {
    let (parts, whole) = parts(store);
    let content = pattern(4, 10);
    let other = put_part(&store.scope("scope").expect("a scope"), "session", 4, &content);
    let mut with_other = keys(&parts);
    with_other.push(&other.temp_key);
    fails(store, &with_other, FinalOptions::new(), Error::NotFound);
    fixture::keep_part(&["scope".to_owned()], &other.temp_key, content.pieces());
    succeeds(store, &parts, &whole);
}

fn wrong_digest(store: &Store) {
    let (parts, whole) = parts(store);
    let options = FinalOptions::new().sha256(pattern(9, 1).sha256());
    fails(store, &keys(&parts), options.clone(), Error::DigestMismatch);
    fails(store, &keys(&parts), options.size(600_000), Error::DigestMismatch);
    // The digest of another order.
    let mut turned = keys(&parts);
    turned.swap(0, 1);
    fails(store, &turned, FinalOptions::new().sha256(whole.sha256()), Error::DigestMismatch);
    fails(store, &[], FinalOptions::new().sha256(whole.sha256()), Error::DigestMismatch);
    succeeds(store, &parts, &whole);
}

fn wrong_size(store: &Store) {
    let (parts, whole) = parts(store);
    for expected in [0, 599_999, 600_001] {
        let options = FinalOptions::new().size(expected).sha256(whole.sha256());
        match store.assemble_final("file", keys(&parts), options) {
            Err(Error::SizeMismatch { expected: told, actual }) => {
                // Content that is too long is counted to one byte past the expected size.
                assert!(told == expected && (actual == 600_000 || actual == expected + 1), "{told} {actual}");
            }
            other => panic!("{other:?} where {expected} bytes are expected"),
        }
    }
    succeeds(store, &parts, &whole);
}

fn name_taken(store: &Store) {
    let (parts, whole) = parts(store);
    let content = pattern(9, 10);
    let taken = store.put_final("taken", content.source(), FinalOptions::new()).expect("a put");
    refused(store.assemble_final("taken", keys(&parts), FinalOptions::new()), Error::Conflict);
    refused(store.assemble_final("taken", [""; 0], FinalOptions::new()), Error::Conflict);
    keep_object(store, &taken, &content);
    succeeds(store, &parts, &whole);
}

fn other_content_there(store: &Store) {
    let (parts, whole) = parts(store);
    let ok = FinalOptions::new().same_content_ok();
    for (id, content) in [("same-size", pattern(9, 600_000)), ("shorter", pattern(9, 10)), ("empty", pattern(9, 0))] {
        let taken = put(store, id, &content);
        refused(store.assemble_final(id, keys(&parts), ok.clone()), Error::Conflict);
        keep_object(store, &taken, &content);
    }
    succeeds(store, &parts, &whole);
}

fn name_gone(store: &Store) {
    let (parts, whole) = parts(store);
    let object = put(store, "deleted", &pattern(9, 10));
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    store.void_final("voided", "aborted").expect("an end");
    for options in [FinalOptions::new(), FinalOptions::new().same_content_ok()] {
        refused(store.assemble_final("deleted", keys(&parts), options.clone()), gone("deleted"));
        refused(store.assemble_final("voided", keys(&parts), options), gone("aborted"));
    }
    succeeds(store, &parts, &whole);
}

fn more_parts_than_allowed(store: &Store) {
    let (parts, whole) = parts(store);
    let (session, token) = ("s".repeat(128), parts[0].temp_key.rsplit('/').next().expect("a token"));
    let mut keys: Vec<String> = (0..100_000).map(|number| format!("{session}/{number}/{token}")).collect();
    refused(store.assemble_final("file", keys.iter().cloned(), FinalOptions::new()), Error::NotFound);
    keys.push(parts[0].temp_key.clone());
    let refusal = Error::InvalidArgument(Argument::Parts);
    refused(store.assemble_final("file", keys, FinalOptions::new()), refusal);
    succeeds(store, &parts, &whole);
}

fn too_large(store: &Store) {
    let limit = store.info().max_object_size;
    let content = pattern(1, limit);
    let part = put_placed(store, "large", 1, &content, 0);
    let one = pattern(2, 1);
    let more = put_placed(store, "large", 2, &one, limit);
    refused(
        store.assemble_final("file", [&*part.temp_key, &more.temp_key], FinalOptions::new()),
        Error::TooLarge { limit },
    );
    assert_parts(store, "large", [&part, &more]);
    keep_part(store, &more, &one);
    let object = store.assemble_final("file", [part.temp_key], FinalOptions::new()).expect("an object");
    keep_object(store, &object, &content);
}

/// Two assemblies of one session into two objects: each part becomes content of at most one.
fn two_at_once(store: &Store) {
    let instance = fixture::instance();
    if instance == 0 {
        parts(store);
    }
    fixture::meet();
    let there = parts_of(store, "session").into_iter().map(|part| part.temp_key);
    let whole = pattern(1, 100_000).then(&pattern(2, 200_000)).then(&pattern(3, 300_000));
    fixture::meet();
    match store.assemble_final(&format!("file-{instance}"), there, FinalOptions::new()) {
        Ok(object) => {
            keep_object(store, &object, &whole);
            fixture::report("won");
        }
        Err(error) => {
            assert!(matches!(error, Error::Conflict | Error::NotFound), "{error:?}");
            fixture::report("lost");
        }
    }
    fixture::meet();
    let mut reports = fixture::reports();
    reports.sort();
    assert_eq!(reports, ["lost", "won"]);
    assert_parts(store, "session", []);
}

/// A finalize that is sent twice: one object exists in the end, and no parts.
fn the_same_twice_at_once(store: &Store) {
    if fixture::instance() == 0 {
        parts(store);
    }
    fixture::meet();
    let there = parts_of(store, "session").into_iter().map(|part| part.temp_key);
    let whole = pattern(1, 100_000).then(&pattern(2, 200_000)).then(&pattern(3, 300_000));
    fixture::meet();
    match store.assemble_final("file", there, FinalOptions::new().same_content_ok()) {
        Ok(object) => assert_object(&object, &whole),
        Err(error) => assert!(matches!(error, Error::Conflict | Error::NotFound), "{error:?}"),
    }
    fixture::meet();
    assert_parts(store, "session", []);
    let object = store.stat_final("file").expect("an object");
    if fixture::instance() == 0 {
        keep_object(store, &object, &whole);
    }
}
