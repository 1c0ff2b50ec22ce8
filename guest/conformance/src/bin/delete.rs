//! Deletions take effect at once, and a second one finds nothing.

use portico_guest_conformance::*;

cases! {
    an_object,
    an_object_with_a_large_content,
    many_objects,
    a_part,
    a_placed_part,
    a_session,
    a_session_of_many,
    one_namespace_has_no_keys_of_another,
    before_its_put_ends,
    at_once [instances=4],
}

fn an_object(store: &Store) {
    let (content, other) = (pattern(1, 1_000), pattern(2, 1_000));
    let object = put(store, "file", &content);
    let neighbour = put(store, "neighbour", &other);
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(false));
    refused(store.stat_final("file"), gone("deleted"));
    refused(store.get_final_stream(&object.bucket, &object.key, ..), gone("deleted"));
    refused(store.get_final_stream(&object.bucket, &object.key, 0..10), gone("deleted"));
    assert_finals(store, [&neighbour]);
    keep_object(store, &neighbour, &other);
}

fn an_object_with_a_large_content(store: &Store) {
    let object = put(store, "file", &pattern(1, 7 << 20));
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    refused(store.stat_final("file"), gone("deleted"));
}

fn many_objects(store: &Store) {
    let content = pattern(1, 100);
    let objects: Vec<StoredObject> = (0..20).map(|n| put(store, &format!("file-{n}"), &content)).collect();
    for object in &objects[..10] {
        assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    }
    assert_eq!(store.finals().count(), 10);
    for object in &objects[10..] {
        keep_object(store, object, &content);
    }
}

fn deleted_part(store: &Store, part: &TempPart) {
    assert_eq!(store.delete_temp_part(&part.temp_key), Ok(true));
    assert_eq!(store.delete_temp_part(&part.temp_key), Ok(false));
    refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
    assert_parts(store, "session", []);
    assert_eq!(store.sessions().count(), 0, "a session without parts is none");
}

fn a_part(store: &Store) {
    deleted_part(store, &put_part(store, "session", 1, &pattern(1, 1_000)));
}

fn a_placed_part(store: &Store) {
    deleted_part(store, &put_placed(store, "session", 1, &pattern(1, 1_000), 0));
}

fn a_session(store: &Store) {
    let content = pattern(1, 1_000);
    put_part(store, "session", 1, &content);
    put_placed(store, "session", 2, &content, 0);
    put_placed(store, "session", 3, &content, 5_000);
    let other = put_placed(store, "session-2", 1, &content, 0);
    assert_eq!(store.delete_session_parts("session"), Ok(3));
    assert_eq!(store.delete_session_parts("session"), Ok(0));
    assert_eq!(store.delete_session_parts("never"), Ok(0));
    assert_parts(store, "session", []);
    assert_eq!(store.sessions().collect::<Result<Vec<_>>>(), Ok(vec!["session-2".to_owned()]));
    keep_part(store, &other, &content);
    // A deletion does not end the session.
    let again = put_placed(store, "session", 1, &content, 0);
    keep_part(store, &again, &content);
}

fn a_session_of_many(store: &Store) {
    for number in 0..120 {
        let content = pattern(number, 100);
        match number % 2 {
            0 => put_part(store, "session", number, &content),
            _ => put_placed(store, "session", number, &content, 100 * u64::from(number)),
        };
    }
    assert_eq!(store.delete_session_parts("session"), Ok(120));
    assert_parts(store, "session", []);
}

/// Temp keys and keys of final objects are never interchangeable, even with equal names.
fn one_namespace_has_no_keys_of_another(store: &Store) {
    let content = pattern(1, 1_000);
    let object = put(store, "same", &content);
    let part = put_part(store, "same", 1, &content);
    store.create_record("same", b"").expect("a record");
    let token = part.temp_key.rsplit('/').next().expect("a token");
    for key in [part.temp_key.clone(), object.key.replace("same", token), object.key.replace("same", "placed")] {
        refused(store.get_final_stream(&object.bucket, &key, ..), Error::NotFound);
        assert_eq!(store.delete_final(&object.bucket, &key), Ok(false));
    }
    for key in [object.key.as_str(), "same", &format!("same/1/{}", object.sha256)] {
        assert!(matches!(store.get_temp_part_stream(key, ..), Err(Error::InvalidArgument(_) | Error::NotFound)));
        assert!(matches!(store.delete_temp_part(key), Err(Error::InvalidArgument(_)) | Ok(false)));
    }
    assert_eq!(store.delete_record("same", None), Ok(true));
    keep_object(store, &object, &content);
    keep_part(store, &part, &content);
}

/// Content in progress has no key yet.
fn before_its_put_ends(store: &Store) {
    let content = pattern(1, 100_000);
    let other = put(store, "other", &content);
    let key = other.key.replace("other", "file");
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    writer.pull(content.source()).expect("a pull");
    assert_eq!(store.delete_final(&other.bucket, &key), Ok(false));
    let mut part = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    part.pull(content.source()).expect("a pull");
    let object = writer.finish(Expected::default()).expect("an object");
    keep_object(store, &object, &content);
    keep_object(store, &other, &content);
    assert_eq!(store.delete_session_parts("session"), Ok(0));
    refused(part.finish(Expected::default()), Error::Interrupted { received: 100_000 });
}

/// Of several concurrent deletions exactly one reports true.
fn at_once(store: &Store) {
    let content = pattern(1, 1_000);
    if fixture::instance() == 0 {
        put(store, "file", &content);
        put_part(store, "session", 1, &content);
        store.create_record("name", b"").expect("a record");
    }
    fixture::meet();
    let object = store.stat_final("file").expect("an object");
    let part = store.parts("session").next().expect("a part").expect("a part");
    fixture::meet();
    if store.delete_final(&object.bucket, &object.key).expect("an answer") {
        fixture::report("object");
    }
    if store.delete_temp_part(&part.temp_key).expect("an answer") {
        fixture::report("part");
    }
    if store.delete_record("name", None).expect("an answer") {
        fixture::report("record");
    }
    fixture::meet();
    let mut words = fixture::reports();
    words.sort();
    assert_eq!(words, ["object", "part", "record"]);
}
