//! Scopes: content of one scope is in no other.

use portico_guest_conformance::*;

cases! {
    info_is_the_same_everywhere,
    nothing_is_created,
    names_refused,
    eight_deep,
    long_names_nested,
    same_names_apart,
    keys_of_another,
    records_and_tombstones_apart,
    parent_and_child_apart,
    sessions_apart,
    names_that_look_like_nesting,
    two_handles_of_one,
}

fn info_is_the_same_everywhere(store: &Store) {
    let info = store.info();
    assert!(!info.backend.is_empty() && !info.bucket.is_empty(), "{info:?}");
    assert!(info.max_object_size > 5 << 20, "{info:?}");
    for other in [Store::open(), store.scope("scope").expect("a scope")] {
        let other = other.info();
        let known = (&info.backend, &info.bucket, info.max_object_size);
        assert_eq!((&other.backend, &other.bucket, other.max_object_size), known);
    }
}

fn nothing_is_created(store: &Store) {
    let narrow = store.scope("scope").expect("a scope");
    assert_eq!(narrow.info().bucket, store.info().bucket);
    for store in [store, &narrow] {
        assert_eq!((store.finals().count(), store.sessions().count(), store.records("").count()), (0, 0, 0));
    }
}

fn names_refused(store: &Store) {
    let long = "n".repeat(65);
    for name in
        ["", ".", "..", "a.b", ".a", "a/b", "/", "a b", "~", "a~", "\0", "é", "a\n", "%2e", &long, &long.repeat(100)]
    {
        refused_argument(store.scope(name), Argument::Scope);
    }
    for name in ["a", "Z", "0", "-", "_", "main", "final", &long[1..]] {
        store.scope(name).expect("a scope");
    }
}

/// Narrows to the deepest allowed level, and checks that each level is a scope of its own.
fn nested(store: &Store, name: &str, levels: usize, more: &str) {
    let mut scopes = vec![Store::open()];
    for depth in 1..=levels {
        let narrow = scopes[depth - 1].scope(name).unwrap_or_else(|error| panic!("at depth {depth}: {error}"));
        scopes.push(narrow);
    }
    refused_argument(scopes[levels].scope(more), Argument::Scope);
    for (seed, scope) in (0..).zip(&scopes) {
        let content = pattern(seed, 10);
        assert_free(scope, "file");
        keep_object(scope, &put(scope, "file", &content), &content);
        let part = put_placed(scope, "session", 1, &content, 0);
        content.assert_read(read_part(scope, &part));
        fixture::keep_part(&vec![name.to_owned(); seed as usize], &part.temp_key, content.pieces());
    }
    assert_eq!(store.finals().count(), 1);
}

fn eight_deep(store: &Store) {
    nested(store, "n", 8, "n");
}

fn long_names_nested(store: &Store) {
    // Three names and their separators have 194 bytes; 55 more and a separator make 250.
    nested(store, &"n".repeat(64), 3, &"n".repeat(56));
    let deepest = (0..3).fold(Store::open(), |scope, _| scope.scope(&"n".repeat(64)).expect("a scope"));
    deepest.scope(&"n".repeat(55)).expect("a scope of 250 bytes");
}

fn same_names_apart(store: &Store) {
    let (first, second) = (store.scope("one").expect("a scope"), store.scope("two").expect("a scope"));
    for (seed, narrow) in [(1, &first), (2, &second)] {
        let content = pattern(seed, 1_000);
        let object = put(narrow, "file", &content);
        assert_finals(narrow, [&object]);
        keep_object(narrow, &object, &content);
    }
    assert_free(store, "file");
}

fn keys_of_another(store: &Store) {
    let content = pattern(1, 1_000);
    let (own, other) = (store.scope("one").expect("a scope"), store.scope("two").expect("a scope"));
    let nested = own.scope("nested").expect("a scope");
    let object = put(&own, "file", &content);
    let part = put_part(&own, "session", 1, &content);
    for stranger in [&other, store, &nested] {
        refused(stranger.get_final_stream(&object.bucket, &object.key, ..), Error::NotFound);
        assert_eq!(stranger.delete_final(&object.bucket, &object.key), Ok(false));
        refused(stranger.open_final("file"), Error::NotFound);
        assert_eq!(stranger.stat_finals(&["file".to_owned()]), Ok(vec![None]));
        refused(stranger.stat_temp_part(&part.temp_key), Error::NotFound);
        refused(stranger.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
        assert_eq!(stranger.delete_temp_part(&part.temp_key), Ok(false));
        assert_parts(stranger, "session", []);
        assert_eq!(stranger.delete_session_parts("session"), Ok(0));
        let assembly = stranger.assemble_final("file", [part.temp_key.as_str()], FinalOptions::new());
        refused(assembly, Error::NotFound);
        // The stranger's own content has the same names.
        let part_of_stranger = put_part(stranger, "session", 1, &content);
        refused(stranger.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
        assert_eq!(stranger.delete_temp_part(&part.temp_key), Ok(false));
        assert_eq!(stranger.delete_temp_part(&part_of_stranger.temp_key), Ok(true));
    }
    content.assert_read(read(&own, &object));
    keep_object(&own, &object, &content);
    fixture::keep_part(&["one".to_owned()], &part.temp_key, content.pieces());
}

fn records_and_tombstones_apart(store: &Store) {
    let (own, other) = (store.scope("one").expect("a scope"), store.scope("two").expect("a scope"));
    let version = own.create_record("name", b"value").expect("a record");
    assert_eq!(own.void_final("file", "reason"), Ok(true));
    for stranger in [&other, store] {
        refused(stranger.get_record("name"), Error::NotFound);
        refused(stranger.replace_record("name", &version, b"other"), Error::NotFound);
        assert_eq!(stranger.delete_record("name", None), Ok(false));
        assert_eq!(stranger.records("").count(), 0);
        assert_free(stranger, "file");
        let other = stranger.create_record("name", b"other").expect("a record");
        refused(own.replace_record("name", &other, b"other"), Error::Conflict);
    }
    assert_eq!(own.get_record("name").map(|record| record.value), Ok(b"value".to_vec()));
    refused(own.stat_final("file"), gone("reason"));
}

fn parent_and_child_apart(store: &Store) {
    let (outer, inner) = (pattern(1, 10), pattern(2, 10));
    let narrow = store.scope("scope").expect("a scope");
    let below = put(&narrow, "file", &inner);
    assert_eq!(store.finals().count(), 0);
    // An object may have the name of a scope.
    for id in ["file", "scope", "main.scope"] {
        keep_object(store, &put(store, id, &outer), &outer);
    }
    assert_eq!(narrow.finals().count(), 1);
    keep_object(&narrow, &below, &inner);
}

fn sessions_apart(store: &Store) {
    let content = pattern(1, 10);
    let narrow = store.scope("scope").expect("a scope");
    let outer = put_placed(store, "session", 1, &content, 0);
    let inner = put_placed(&narrow, "session", 1, &content, 0);
    assert_ne!(outer.temp_key, inner.temp_key);
    assert_eq!(narrow.delete_session_parts("session"), Ok(1));
    assert_parts(store, "session", [&outer]);
    assert_eq!(store.sessions().count(), 1);
    assert_eq!(narrow.sessions().count(), 0);
    keep_part(store, &outer, &content);
}

/// Different paths of names are different scopes, however a backend joins the names.
fn names_that_look_like_nesting(store: &Store) {
    let nested = |names: &[&str]| {
        let mut scope = Store::open();
        for name in names {
            scope = scope.scope(name).expect("a scope");
        }
        scope
    };
    let paths: [&[&str]; 8] = [&["a", "b"], &["a-b"], &["a_b"], &["ab"], &["a"], &["b", "a"], &["a", "a"], &["A", "b"]];
    for path in paths {
        assert_eq!(nested(path).finals().count(), 0, "{path:?}");
        nested(path).create_record("name", b"").expect("a record");
        let content = pattern(1, 10);
        let object = put(&nested(path), "file", &content);
        keep_object(&nested(path), &object, &content);
    }
    assert_eq!(store.finals().count(), 0);
}

fn two_handles_of_one(store: &Store) {
    let content = pattern(1, 10);
    let (first, second) = (store.scope("scope").expect("a scope"), store.scope("scope").expect("a scope"));
    let object = put(&first, "file", &content);
    assert_eq!(second.stat_final("file"), Ok(object.clone()));
    refused(second.put_final("file", content.source(), FinalOptions::new()), Error::Conflict);
    keep_object(&second, &object, &content);
    assert_eq!(Store::open().finals().count(), 0);
}
