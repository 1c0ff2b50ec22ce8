//! Parts with `unless-final`: the file id is taken before the put or while its content arrives.

use portico_guest_conformance::*;
use std::io::Write as _;

cases! {
    nothing_is_there,
    an_object_is_there,
    a_tombstone_is_there,
    a_deleted_object_was_there,
    another_scope_has_one,
    voided_meanwhile,
    made_meanwhile,
    nothing_of_it_is_left,
    not_replayed_once_it_has_ended,
    not_replayed_when_it_ends_meanwhile,
    no_file_id,
}

const NOTHING: Expected = Expected { size: None, sha256: None, others: Vec::new() };

fn options() -> PartOptions {
    PartOptions::new().unless_final("file")
}

/// Checks that a put is refused before its endless content is read.
#[track_caller]
fn put_is_refused(store: &Store) {
    refused(store.put_temp_part("session", 1, endless(1), options()), Error::Ended);
    refused(store.create_temp_part("session", 1, options()).map(drop), Error::Ended);
    assert_parts(store, "session", []);
}

/// Opens a writer with complete content, before its finish.
fn begun(store: &Store, number: u32, content: &Content, options: PartOptions) -> Writer<TempPart> {
    let mut writer = store.create_temp_part("session", number, options).expect("a writer");
    let mut sink = writer.sink().expect("a sink");
    content.write_to(&mut sink);
    sink.flush().expect("a flush");
    drop(sink);
    writer
}

fn nothing_is_there(store: &Store) {
    for (number, size) in [(1, 0), (2, 70_000)] {
        let content = pattern(number, size);
        let part = store.put_temp_part("session", number, content.source(), options()).expect("a put");
        keep_part(store, &part, &content);
    }
    assert_free(store, "file");
}

fn an_object_is_there(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    put_is_refused(store);
    keep_object(store, &object, &content);
}

fn a_tombstone_is_there(store: &Store) {
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    put_is_refused(store);
}

fn a_deleted_object_was_there(store: &Store) {
    let object = put(store, "file", &pattern(1, 10));
    assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
    put_is_refused(store);
}

fn another_scope_has_one(store: &Store) {
    let other = store.scope("other").expect("a scope");
    assert_eq!(other.void_final("file", "aborted"), Ok(true));
    let content = pattern(1, 10);
    let part = store.put_temp_part("session", 1, content.source(), options()).expect("a put");
    keep_part(store, &part, &content);
}

fn voided_meanwhile(store: &Store) {
    let writer = begun(store, 1, &pattern(1, 70_000), options());
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    refused(writer.finish(NOTHING), Error::Ended);
    assert_parts(store, "session", []);
}

fn made_meanwhile(store: &Store) {
    let writer = begun(store, 1, &pattern(1, 70_000), options().size(70_000).offset(0));
    let content = pattern(2, 10);
    let object = put(store, "file", &content);
    refused(writer.finish(NOTHING), Error::Ended);
    assert_parts(store, "session", []);
    keep_object(store, &object, &content);
}

fn nothing_of_it_is_left(store: &Store) {
    let content = pattern(1, 70_000);
    let first = begun(store, 1, &content, options());
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    refused(first.finish(NOTHING), Error::Ended);
    // The number is free for parts of another file id.
    keep_part(store, &put_part(store, "session", 1, &content), &content);
}

fn not_replayed_once_it_has_ended(store: &Store) {
    let content = pattern(1, 70_000);
    let part = put_part(store, "session", 1, &content);
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    let again = store.put_temp_part("session", 1, content.source(), options().same_content_ok());
    refused(again, Error::Ended);
    keep_part(store, &part, &content);
}

fn not_replayed_when_it_ends_meanwhile(store: &Store) {
    let content = pattern(1, 70_000);
    let part = put_part(store, "session", 1, &content);
    let again = begun(store, 1, &content, options().same_content_ok());
    let late = begun(store, 2, &content, options().same_content_ok());
    let first = put_part(store, "session", 2, &content);
    assert_eq!(store.void_final("file", "aborted"), Ok(true));
    refused(again.finish(NOTHING), Error::Ended);
    refused(late.finish(NOTHING), Error::Ended);
    keep_part(store, &part, &content);
    keep_part(store, &first, &content);
}

fn no_file_id(store: &Store) {
    for name in ["", ".hidden", "a/b", "\u{e9}", &"x".repeat(129)] {
        let options = PartOptions::new().unless_final(name);
        let put = store.put_temp_part("session", 1, endless(1), options.clone());
        refused_argument(put, Argument::FileId);
        refused_argument(store.create_temp_part("session", 1, options).map(drop), Argument::FileId);
    }
}
