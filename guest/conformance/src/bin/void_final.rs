//! Voided file ids.

use portico_guest_conformance::*;

cases! {
    before_a_put,
    twice,
    of_an_object,
    of_a_deleted_object,
    while_a_writer_is_open,
    before_an_assembly,
    reasons_of_any_form,
    reasons_refused,
    is_not_listed,
    forgotten,
    young_is_not_forgotten,
    objects_are_not_forgotten,
    forgotten_in_steps,
    against_a_put_at_once [instances=2],
}

fn before_a_put(store: &Store) {
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    refused(store.stat_final("file"), gone("aborted"));
    let content = pattern(1, 10);
    for options in [FinalOptions::new(), FinalOptions::new().same_content_ok()] {
        refused(store.put_final("file", content.source(), options.clone()), gone("aborted"));
        refused(store.put_final("file", endless(1), options.clone()), gone("aborted"));
        refused(store.create_final("file", options.clone()), gone("aborted"));
        refused(store.assemble_final("file", [""; 0], options), gone("aborted"));
    }
    let other = put(store, "other", &content);
    let key = other.key.replace("other", "file");
    assert!(matches!(store.get_final_stream(&other.bucket, &key, ..), Err(Error::Gone { .. } | Error::NotFound)));
    assert_eq!(store.delete_final(&other.bucket, &key), Ok(false));
    refused(store.stat_final("file"), gone("aborted"));
    keep_object(store, &other, &content);
}

/// The first reason is kept.
fn twice(store: &Store) {
    assert_eq!(store.void_final("file", "first"), Ok(true));
    assert_eq!(store.void_final("file", "second"), Ok(false));
    assert_eq!(store.void_final("file", "first"), Ok(false));
    refused(store.stat_final("file"), gone("first"));
}

fn of_an_object(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    assert_eq!(store.void_final("file", "aborted"), Ok(false));
    keep_object(store, &object, &content);
}

fn of_a_deleted_object(store: &Store) {
    let object = put(store, "file", &pattern(1, 10));
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    assert_eq!(store.void_final("file", "aborted"), Ok(false));
    refused(store.stat_final("file"), gone("deleted"));
}

fn while_a_writer_is_open(store: &Store) {
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    writer.pull(pattern(1, 600_000).source()).expect("a pull");
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    refused(writer.finish(Expected::default()), gone("aborted"));
    refused(store.stat_final("file"), gone("aborted"));
}

fn before_an_assembly(store: &Store) {
    let content = pattern(1, 10);
    let part = put_placed(store, "session", 1, &content, 0);
    assert_eq!(store.void_final("file", "expired"), Ok(true));
    refused(store.assemble_final("file", [part.temp_key.as_str()], FinalOptions::new()), gone("expired"));
    assert_parts(store, "session", [&part]);
    let object = store.assemble_final("other", [part.temp_key], FinalOptions::new()).expect("an object");
    keep_object(store, &object, &content);
}

fn reasons_of_any_form(store: &Store) {
    let longest = "r".repeat(64);
    for (number, reason) in (0..).zip(["a", "deleted", "A-Za-z_0.9~", "~", &longest]) {
        let id = format!("file-{number}");
        assert_eq!(store.void_final(&id, reason), Ok(true));
        refused(store.stat_final(&id), gone(reason));
    }
}

fn reasons_refused(store: &Store) {
    for reason in ["", ".", ".a", "a b", "a/b", "a\n", "\0", "é", &"r".repeat(65), &"r".repeat(5_000)] {
        refused_argument(store.void_final("file", reason), Argument::Reason);
    }
    assert_free(store, "file");
}

fn is_not_listed(store: &Store) {
    for id in ["a", "b", "c"] {
        store.void_final(id, "aborted").expect("an end");
    }
    let content = pattern(1, 10);
    let object = put(store, "bb", &content);
    let page = store.list_finals(None, 1).expect("a page");
    assert_eq!((page.items.len(), page.next), (1, None));
    assert_finals(store, [&object]);
    keep_object(store, &object, &content);
}

/// A time after the end of every id.
const ALWAYS: u64 = u64::MAX;

fn purge(store: &Store, before: u64) -> u32 {
    let (mut purged, mut after) = (0, None);
    loop {
        let (count, next) = store.purge_gone(before, after.as_deref()).expect("a step");
        purged += count;
        match next {
            Some(next) => after = Some(next),
            None => return purged,
        }
    }
}

/// A forgotten id is free again, and its new object is kept.
fn forgotten(store: &Store) {
    let content = pattern(1, 100_000);
    let object = put(store, "deleted", &content);
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    assert_eq!(store.void_final("voided", "aborted"), Ok(true));
    assert_eq!(purge(store, ALWAYS), 2);
    assert_eq!(purge(store, ALWAYS), 0);
    for id in ["deleted", "voided"] {
        refused(store.stat_final(id), Error::NotFound);
        let again = put(store, id, &content);
        assert_eq!(purge(store, ALWAYS), 0);
        keep_object(store, &again, &content);
    }
}

fn young_is_not_forgotten(store: &Store) {
    assert_eq!(store.void_final("voided", "aborted"), Ok(true));
    assert_eq!(purge(store, 0), 0);
    assert_eq!(purge(store, 1_000_000_000_000), 0);
    refused(store.stat_final("voided"), gone("aborted"));
}

fn objects_are_not_forgotten(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    let inner = store.scope("inner").expect("a scope");
    assert_eq!(inner.void_final("file", "aborted"), Ok(true));
    assert_eq!(purge(store, ALWAYS), 0);
    refused(inner.stat_final("file"), gone("aborted"));
    keep_object(store, &object, &content);
}

fn forgotten_in_steps(store: &Store) {
    const COUNT: u32 = 1_005;
    for number in 0..COUNT {
        store.void_final(&format!("file-{number}"), "aborted").expect("an end");
    }
    let (first, next) = store.purge_gone(ALWAYS, None).expect("a step");
    let (second, end) = store.purge_gone(ALWAYS, next.as_deref()).expect("a step");
    assert!(next.is_some() && first <= 1_000, "{first}");
    assert_eq!((first + second, end), (COUNT, None));
    refused_argument(store.purge_gone(ALWAYS, Some("of no listing")), Argument::Cursor);
}

/// Exactly one call decides, and both report which.
fn against_a_put_at_once(store: &Store) {
    let content = pattern(1, 100_000);
    for round in 0..8 {
        let id = format!("file-{round}");
        if fixture::instance() == 0 {
            let mut writer = store.create_final(&id, FinalOptions::new()).expect("a writer");
            writer.pull(content.source()).expect("a pull");
            fixture::meet();
            match writer.finish(Expected::default()) {
                Ok(object) => {
                    keep_object(store, &object, &content);
                    fixture::report(&format!("{round} put"));
                }
                Err(error) => assert_eq!(error, gone("aborted")),
            }
        } else {
            fixture::meet();
            if store.void_final(&id, "aborted").expect("an answer") {
                refused(store.stat_final(&id), gone("aborted"));
                fixture::report(&format!("{round} voided"));
            }
        }
        fixture::meet();
        let words = fixture::reports();
        assert_eq!(words.len(), round + 1, "{words:?}");
    }
}
