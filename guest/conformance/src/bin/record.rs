//! Records.

use portico_guest_conformance::*;
use std::collections::BTreeSet;

cases! {
    create_and_get,
    create_where_one_is,
    replace,
    replace_a_version_that_is_not_current,
    replace_what_is_not_there,
    delete,
    delete_a_version,
    versions_are_never_used_again,
    values_up_to_64_kib,
    names_of_any_form,
    names_refused,
    prefixes,
    prefixes_refused,
    versions_of_no_form,
    nothing_to_do_with_finals,
    creations_at_once [instances=4],
    replacements_at_once [instances=4],
}

#[track_caller]
fn assert_record(store: &Store, name: &str, version: &str, value: &[u8]) {
    let expected = Record { name: name.to_owned(), version: version.to_owned(), value: value.to_vec() };
    assert_eq!(store.get_record(name), Ok(expected));
}

fn create_and_get(store: &Store) {
    refused(store.get_record("name"), Error::NotFound);
    let version = store.create_record("name", b"value").expect("a record");
    assert_record(store, "name", &version, b"value");
    assert_record(store, "name", &version, b"value");
}

fn create_where_one_is(store: &Store) {
    let version = store.create_record("name", b"value").expect("a record");
    refused(store.create_record("name", b"other"), Error::Conflict);
    refused(store.create_record("name", b"value"), Error::Conflict);
    assert_record(store, "name", &version, b"value");
}

fn replace(store: &Store) {
    let first = store.create_record("name", b"one").expect("a record");
    let second = store.replace_record("name", &first, b"two").expect("a replacement");
    assert_record(store, "name", &second, b"two");
    let third = store.replace_record("name", &second, b"").expect("a replacement");
    assert_record(store, "name", &third, b"");
}

fn replace_a_version_that_is_not_current(store: &Store) {
    let first = store.create_record("name", b"one").expect("a record");
    let other = store.create_record("other", b"one").expect("a record");
    let second = store.replace_record("name", &first, b"two").expect("a replacement");
    for version in [&first, &other] {
        refused(store.replace_record("name", version, b"three"), Error::Conflict);
        refused(store.delete_record("name", Some(version)), Error::Conflict);
    }
    assert_record(store, "name", &second, b"two");
}

fn replace_what_is_not_there(store: &Store) {
    let version = store.create_record("other", b"one").expect("a record");
    refused(store.replace_record("name", &version, b"two"), Error::NotFound);
    refused(store.get_record("name"), Error::NotFound);
    store.delete_record("other", None).expect("a delete");
    refused(store.replace_record("other", &version, b"two"), Error::NotFound);
}

fn delete(store: &Store) {
    assert_eq!(store.delete_record("name", None), Ok(false));
    store.create_record("name", b"value").expect("a record");
    assert_eq!(store.delete_record("name", None), Ok(true));
    assert_eq!(store.delete_record("name", None), Ok(false));
    refused(store.get_record("name"), Error::NotFound);
    assert_eq!(store.records("").count(), 0);
}

fn delete_a_version(store: &Store) {
    let first = store.create_record("name", b"one").expect("a record");
    let second = store.replace_record("name", &first, b"two").expect("a replacement");
    refused(store.delete_record("name", Some(&first)), Error::Conflict);
    assert_record(store, "name", &second, b"two");
    assert_eq!(store.delete_record("name", Some(&second)), Ok(true));
    assert_eq!(store.delete_record("name", Some(&second)), Ok(false));
}

/// Versions are unique across equal values, deletions and names.
fn versions_are_never_used_again(store: &Store) {
    let mut versions = BTreeSet::new();
    for _ in 0..20 {
        for name in ["one", "two"] {
            let created = store.create_record(name, b"same").expect("a record");
            let replaced = store.replace_record(name, &created, b"same").expect("a replacement");
            store.delete_record(name, Some(&replaced)).expect("a delete");
            for version in [created, replaced] {
                assert!(versions.insert(version.clone()), "{version} again");
            }
        }
    }
    let current = store.create_record("one", b"same").expect("a record");
    for version in versions {
        refused(store.replace_record("one", &version, b"other"), Error::Conflict);
    }
    assert_record(store, "one", &current, b"same");
}

fn values_up_to_64_kib(store: &Store) {
    for size in [0, 1, (64 << 10) - 1, 64 << 10] {
        let name = format!("size-{size}");
        let value = pattern(1, size).bytes();
        let version = store.create_record(&name, &value).expect("a record");
        assert_record(store, &name, &version, &value);
    }
    let full = pattern(2, 64 << 10).bytes();
    let more = pattern(2, (64 << 10) + 1).bytes();
    let refusal = Error::TooLarge { limit: 64 << 10 };
    refused(store.create_record("more", &more), refusal.clone());
    refused(store.create_record("more", &pattern(3, 3 << 20).bytes()), refusal.clone());
    refused(store.get_record("more"), Error::NotFound);
    let version = store.create_record("more", b"").expect("a record");
    refused(store.replace_record("more", &version, &more), refusal);
    let version = store.replace_record("more", &version, &full).expect("a replacement");
    assert_record(store, "more", &version, &full);
    let any: Vec<u8> = (0..=255).collect();
    let version = store.create_record("any", &any).expect("a record");
    assert_record(store, "any", &version, &any);
}

fn names_of_any_form(store: &Store) {
    let long = "n".repeat(128);
    let longest = format!("{long}/{}", &long[1..]);
    assert_eq!(longest.len(), 256);
    let deep = ["x"; 128].join("/");
    for name in ["a", "A", "a/b", "a/b/c", "~", "a~._-0Z", "a.", &long, &longest, &deep] {
        let version = store.create_record(name, name.as_bytes()).expect("a record");
        assert_record(store, name, &version, name.as_bytes());
    }
    assert_eq!(store.records("").count(), 10);
}

fn names_refused(store: &Store) {
    let too_long = format!("{}/{}", "n".repeat(128), "n".repeat(128));
    let names = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "..",
        "../a",
        "a/../b",
        "a b",
        "a\\b",
        "a\0",
        "é",
        "a%2fb",
        "a:b",
        &"n".repeat(129),
        &too_long,
        &"n/".repeat(5_000),
    ];
    for name in names {
        refused_argument(store.create_record(name, b""), Argument::RecordName);
        refused_argument(store.get_record(name), Argument::RecordName);
        refused_argument(store.replace_record(name, "version", b""), Argument::RecordName);
        refused_argument(store.delete_record(name, None), Argument::RecordName);
    }
    assert_eq!(store.records("").count(), 0);
}

fn prefixes(store: &Store) {
    let names = ["a", "a-b", "a/b", "a/b/c", "a/c", "ab", "b", "Z"];
    for name in names {
        store.create_record(name, b"").expect("a record");
    }
    for prefix in ["", "a", "a/", "a/b", "a/b/", "a/b/c", "a/b/c/", "a/b/cd", "ab", "Z", "z", "b", "~", "a-"] {
        let mut expected: Vec<&str> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(
            store.records(prefix).collect::<Result<Vec<_>>>(),
            Ok(expected.into_iter().map(Into::into).collect())
        );
    }
}

fn prefixes_refused(store: &Store) {
    store.create_record("a", b"").expect("a record");
    for prefix in ["/", "//", "a//", ".", "a/.", "é", "a%", "a_%*", "a b", "\0", &"n".repeat(257), &"n".repeat(5_000)]
    {
        // The underscore is an ordinary character; the other characters occur in no name.
        refused_argument(store.list_records(prefix, None, 10), Argument::RecordName);
    }
    for wildcard in ["_", "a_", "__"] {
        assert_eq!(store.records(wildcard).count(), 0, "{wildcard}");
    }
}

fn versions_of_no_form(store: &Store) {
    let version = store.create_record("name", b"value").expect("a record");
    for other in ["", " ", "*", "\0", "é", &version.to_uppercase(), &format!("{version} "), &"v".repeat(5_000)] {
        if *other != version {
            refused(store.replace_record("name", other, b"other"), Error::Conflict);
            refused(store.delete_record("name", Some(other)), Error::Conflict);
        }
    }
    assert_record(store, "name", &version, b"value");
}

fn nothing_to_do_with_finals(store: &Store) {
    let content = pattern(1, 10);
    let version = store.create_record("name", b"record").expect("a record");
    let object = put(store, "name", &content);
    let part = put_part(store, "name", 1, &content);
    store.void_final("voided", "reason").expect("an end");
    refused(store.get_record("voided"), Error::NotFound);
    assert_eq!(store.delete_session_parts("name"), Ok(1));
    refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
    assert_record(store, "name", &version, b"record");
    assert_eq!(store.delete_record("name", None), Ok(true));
    keep_object(store, &object, &content);
}

/// Exactly one creation wins, and its value is stored.
fn one_wins(store: &Store, result: Result<String>) {
    let own = fixture::instance().to_string();
    match &result {
        Ok(_) => fixture::report(&own),
        Err(error) => assert_eq!(*error, Error::Conflict),
    }
    fixture::meet();
    let reports = fixture::reports();
    let [winner] = reports.as_slice() else { panic!("{reports:?} have won") };
    let there = store.get_record("name").expect("a record");
    assert_eq!(there.value, winner.as_bytes());
    if *winner == own {
        assert_eq!(Ok(there.version), result);
    }
}

fn creations_at_once(store: &Store) {
    fixture::meet();
    one_wins(store, store.create_record("name", fixture::instance().to_string().as_bytes()));
}

fn replacements_at_once(store: &Store) {
    if fixture::instance() == 0 {
        store.create_record("name", b"first").expect("a record");
    }
    fixture::meet();
    let version = store.get_record("name").expect("a record").version;
    fixture::meet();
    one_wins(store, store.replace_record("name", &version, fixture::instance().to_string().as_bytes()));
}
