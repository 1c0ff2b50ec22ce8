//! Listings: order, pages, cursors.

use portico_guest_conformance::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

cases! {
    of_nothing,
    finals_by_id,
    parts_by_number,
    sessions_by_id,
    records_by_name,
    a_thousand_and_one_records,
    a_thousand_and_one_parts,
    a_thousand_and_one_finals,
    limits_refused,
    cursors_refused,
    what_changes_between_pages,
    parts_that_changed,
    only_what_exists,
}

/// Returns all entries of a listing. Checks that each page is full except the last.
#[track_caller]
fn pages<T: Debug>(limit: u32, page: impl Fn(Option<&str>) -> Result<portico_guest::Page<T>>) -> Vec<T> {
    let mut entries = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = page(after.as_deref()).expect("a page");
        let full = page.items.len() == limit as usize;
        assert!(page.items.len() <= limit as usize && (full || page.next.is_none()), "{page:?}");
        entries.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return entries,
        }
    }
}

const LIMITS: [u32; 6] = [1, 2, 3, 5, 7, 1_000];

fn of_nothing(store: &Store) {
    for limit in LIMITS {
        assert_eq!(store.list_finals(None, limit).expect("a page").items, [""; 0]);
        assert_eq!(store.list_finals(None, limit).expect("a page").next, None);
        assert_eq!(store.list_temp_parts("session", None, limit).expect("a page").items, []);
        assert_eq!(store.list_temp_parts("session", None, limit).expect("a page").next, None);
        assert_eq!(store.list_temp_sessions(None, limit).expect("a page").items, [""; 0]);
        assert_eq!(store.list_temp_sessions(None, limit).expect("a page").next, None);
        assert_eq!(store.list_records("", None, limit).expect("a page").items, [""; 0]);
        assert_eq!(store.list_records("", None, limit).expect("a page").next, None);
    }
}

/// Unsorted names whose byte order differs from other orders.
const NAMES: [&str; 7] = ["b", "a.b", "B", "a", "~", "10", "9"];

fn sorted_names() -> Vec<&'static str> {
    NAMES.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

fn finals_by_id(store: &Store) {
    let mut objects = Vec::new();
    for (seed, id) in (1..).zip(NAMES) {
        let content = pattern(seed, 10);
        let options = FinalOptions::new().content_type(id).metadata("id", id);
        let object = store.put_final(id, content.source(), options).expect("a put");
        keep_object(store, &object, &content);
        objects.push(object);
    }
    objects.sort_by(|a, b| a.file_id.cmp(&b.file_id));
    assert_eq!(objects.iter().map(|object| object.file_id.as_str()).collect::<Vec<_>>(), sorted_names());
    for limit in LIMITS {
        let ids = pages(limit, |after| store.list_finals(after, limit));
        assert_eq!(ids, sorted_names());
        let receipts = store.stat_finals(&ids).expect("receipts");
        assert_eq!(receipts.into_iter().flatten().collect::<Vec<_>>(), objects);
    }
}

fn parts_by_number(store: &Store) {
    let mut parts = Vec::new();
    for number in [10, 9, 1_000_000, 0, u32::MAX, 100, 99] {
        let content = pattern(number, 10);
        let options = PartOptions::new().size(10).offset(10 * u64::from(number)).want_sha256();
        let part = store.put_temp_part("session", number, content.source(), options).expect("a put");
        keep_part(store, &part, &content);
        parts.push(part);
    }
    parts.sort_by_key(|part| part.part_number);
    let content = pattern(1, 1);
    let other = put_part(store, "other", 5, &content);
    keep_part(store, &other, &content);
    assert_parts(store, "session", &parts);
    for limit in LIMITS {
        assert!(is_listing_of(&pages(limit, |after| store.list_temp_parts("session", after, limit)), &parts));
    }
}

fn sessions_by_id(store: &Store) {
    for (seed, session) in (1..).zip(NAMES) {
        for number in 0..2 {
            let content = pattern(seed, 10);
            keep_part(store, &put_part(store, session, number, &content), &content);
        }
    }
    for limit in LIMITS {
        assert_eq!(pages(limit, |after| store.list_temp_sessions(after, limit)), sorted_names());
    }
}

fn records_by_name(store: &Store) {
    let names = ["a/b", "a.b", "a", "a-", "ab", "a/b/c", "b"];
    for name in names {
        store.create_record(name, name.as_bytes()).expect("a record");
    }
    let sorted: Vec<&str> = names.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for limit in LIMITS {
        assert_eq!(pages(limit, |after| store.list_records("", after, limit)), sorted);
        let beneath: Vec<&&str> = sorted.iter().filter(|name| name.starts_with("a/")).collect();
        let found = pages(limit, |after| store.list_records("a/", after, limit));
        assert_eq!(found.iter().collect::<Vec<_>>(), beneath);
    }
}

fn a_thousand_and_one_records(store: &Store) {
    let names: Vec<String> = (0..1_001).map(|n| format!("folder/{n:04}")).collect();
    for name in &names {
        store.create_record(name, b"").expect("a record");
    }
    let first = store.list_records("folder/", None, 1_000).expect("a page");
    assert_eq!(first.items, names[..1_000]);
    let last = store.list_records("folder/", first.next.as_deref(), 1_000).expect("a page");
    assert_eq!((last.items.as_slice(), last.next), (&names[1_000..], None));
    store.delete_record(&names[1_000], None).expect("a delete");
    let whole = store.list_records("folder/", None, 1_000).expect("a page");
    assert_eq!((whole.items.as_slice(), whole.next), (&names[..1_000], None), "a full page may be the last");
    assert!(store.records("").collect::<Result<Vec<_>>>().expect("a listing") == names[..1_000]);
}

fn a_thousand_and_one_parts(store: &Store) {
    let content = pattern(1, 1);
    let parts: Vec<TempPart> =
        (0..1_001).map(|number| put_placed(store, "session", number, &content, number.into())).collect();
    let first = store.list_temp_parts("session", None, 1_000).expect("a page");
    assert!(is_listing_of(&first.items, &parts[..1_000]));
    let last = store.list_temp_parts("session", first.next.as_deref(), 1_000).expect("a page");
    assert!(is_listing_of(&last.items, &parts[1_000..]) && last.next.is_none());
    assert_eq!(store.delete_session_parts("session"), Ok(1_001));
}

fn a_thousand_and_one_finals(store: &Store) {
    let content = pattern(1, 1);
    let objects: Vec<StoredObject> = (0..1_001).map(|n| put(store, &format!("file-{n:04}"), &content)).collect();
    for object in &objects {
        fixture::keep_object(&object.bucket, &object.key, content.pieces());
    }
    let first = store.list_finals(None, 1_000).expect("a page");
    let ids: Vec<String> = objects.iter().map(|object| object.file_id.clone()).collect();
    assert!(first.items == ids[..1_000]);
    let last = store.list_finals(first.next.as_deref(), 1_000).expect("a page");
    assert_eq!((last.items.as_slice(), last.next), (&ids[1_000..], None));
    let receipts = store.stat_finals(&ids[..1_000]).expect("receipts");
    assert!(receipts.into_iter().flatten().eq(objects[..1_000].iter().cloned()));
    assert!(store.finals().collect::<Result<Vec<_>>>().expect("a listing") == objects);
}

fn limits_refused(store: &Store) {
    for limit in [0, 1_001, u32::MAX] {
        refused_argument(store.list_finals(None, limit), Argument::Limit);
        refused_argument(store.list_temp_parts("session", None, limit), Argument::Limit);
        refused_argument(store.list_temp_sessions(None, limit), Argument::Limit);
        refused_argument(store.list_records("", None, limit), Argument::Limit);
    }
}

/// Cursors that no listing returned, and cursors of other kinds of listings.
fn cursors_refused(store: &Store) {
    let content = pattern(1, 10);
    for number in 0..2 {
        let name = format!("name-{number}");
        keep_object(store, &put(store, &name, &content), &content);
        keep_part(store, &put_part(store, &name, 0, &content), &content);
        keep_part(store, &put_part(store, "name-0", number + 1, &content), &content);
        store.create_record(&name, b"").expect("a record");
    }
    let of_finals = store.list_finals(None, 1).expect("a page").next.expect("more");
    let of_parts = store.list_temp_parts("name-0", None, 1).expect("a page").next.expect("more");
    let of_sessions = store.list_temp_sessions(None, 1).expect("a page").next.expect("more");
    let of_records = store.list_records("", None, 1).expect("a page").next.expect("more");

    let none = ["".to_owned(), "\0".to_owned(), "a b".to_owned(), "é".to_owned(), "x".repeat(5_000)];
    let check = |own: &str, page: &dyn Fn(&str) -> Option<Error>| {
        assert_eq!(page(own), None, "its own cursor");
        for cursor in none.iter().chain([&of_finals, &of_parts, &of_sessions, &of_records]) {
            if cursor != own {
                assert_eq!(page(cursor), Some(Error::InvalidArgument(Argument::Cursor)), "{cursor:?}");
            }
        }
    };
    check(&of_finals, &|after| store.list_finals(Some(after), 1).err());
    check(&of_parts, &|after| store.list_temp_parts("name-0", Some(after), 1).err());
    check(&of_sessions, &|after| store.list_temp_sessions(Some(after), 1).err());
    check(&of_records, &|after| store.list_records("", Some(after), 1).err());
}

/// Entries may be deleted and added between two pages, also the last entry of a page.
fn what_changes_between_pages(store: &Store) {
    for name in ["a", "b", "c", "d"] {
        store.create_record(name, b"").expect("a record");
    }
    let first = store.list_records("", None, 2).expect("a page");
    assert_eq!(first.items, ["a", "b"]);
    store.delete_record("b", None).expect("a delete");
    store.create_record("aa", b"").expect("a record");
    store.create_record("bb", b"").expect("a record");
    let second = store.list_records("", first.next.as_deref(), 2).expect("a page");
    assert_eq!(second.items, ["bb", "c"]);
    for name in ["bb", "c", "d"] {
        store.delete_record(name, None).expect("a delete");
    }
    let last = store.list_records("", second.next.as_deref(), 2).expect("a page");
    assert_eq!((last.items.as_slice(), last.next), ([].as_slice(), None));
}

/// Some parts are deleted, some of those put again with another size, and some puts fail.
fn parts_that_changed(store: &Store) {
    let content = |number: u32, round: u64| pattern(number, 100 * round + u64::from(number));
    let mut parts: BTreeMap<u32, TempPart> =
        (0..40).map(|number| (number, put_part(store, "session", number, &content(number, 1)))).collect();
    for number in (0..40).step_by(3) {
        assert_eq!(store.delete_temp_part(&parts[&number].temp_key), Ok(true));
        parts.remove(&number);
    }
    for number in (0..40).step_by(6) {
        parts.insert(number, put_part(store, "session", number, &content(number, 2)));
    }
    for number in [1, 2, 3] {
        let source = content(number, 3).then_failure();
        let error = store.put_temp_part("session", number, source, PartOptions::new()).expect_err("a failure");
        assert!(matches!(error, Error::Conflict | Error::Interrupted { .. }), "{error:?}");
    }
    for limit in LIMITS {
        let found = pages(limit, |after| store.list_temp_parts("session", after, limit));
        assert!(is_listing_of(&found, parts.values()), "{found:?}, not {parts:?}");
    }
    assert_parts(store, "session", parts.values());
    for part in parts.values() {
        let round = if part.part_number % 6 == 0 { 2 } else { 1 };
        keep_part(store, part, &content(part.part_number, round));
    }
}

/// Listings omit content in progress and what was voided, deleted, or failed.
fn only_what_exists(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "deleted", &content);
    store.delete_final(&object.bucket, &object.key).expect("a delete");
    store.void_final("voided", "reason").expect("an end");
    refused(
        store.put_final("failed", content.then_failure(), FinalOptions::new()),
        Error::Interrupted { received: 10 },
    );
    let mut final_writer = store.create_final("open", FinalOptions::new()).expect("a writer");
    let mut part_writer = store.create_temp_part("open", 1, PartOptions::new()).expect("a writer");
    final_writer.pull(content.source()).expect("a pull");
    part_writer.pull(content.source()).expect("a pull");
    assert_eq!(store.finals().count(), 0);
    assert_eq!(store.sessions().count(), 0);
    assert_parts(store, "open", []);
    keep_object(store, &final_writer.finish(Expected::default()).expect("an object"), &content);
    keep_part(store, &part_writer.finish(Expected::default()).expect("a part"), &content);
    assert_eq!(store.finals().count(), 1);
    assert_eq!(store.sessions().collect::<Result<Vec<_>>>().expect("a listing"), ["open"]);
}
