//! Parts with a limit of their size.

use portico_guest_conformance::*;

cases! {
    a_part_of_the_limit,
    one_byte_more,
    an_announced_size_beyond_it,
    no_bytes_at_all,
    a_writer,
    beyond_the_largest_object [needs="small-limit"],
}

const LIMIT: u64 = 600_000;

fn options() -> [PartOptions; 3] {
    let limited = PartOptions::new().limit(LIMIT);
    [limited.clone(), limited.clone().offset(0), limited.keep_prefix()]
}

fn too_large() -> Error {
    Error::TooLarge { limit: LIMIT }
}

fn a_part_of_the_limit(store: &Store) {
    let content = pattern(1, LIMIT);
    for (number, options) in (0..).zip(options()) {
        for (number, options) in [(number, options.clone()), (number + 10, options.size(LIMIT))] {
            let part = store.put_temp_part("session", number, content.source(), options).expect("a part");
            keep_part(store, &part, &content);
        }
    }
}

fn one_byte_more(store: &Store) {
    for options in options() {
        for content in [pattern(1, LIMIT + 1).source(), endless(2)] {
            refused(store.put_temp_part("session", 1, content, options.clone()), too_large());
            assert_parts(store, "session", []);
        }
    }
}

/// The size alone tells, so the endless source is not read.
fn an_announced_size_beyond_it(store: &Store) {
    for options in options() {
        let options = options.size(LIMIT + 1);
        refused(store.put_temp_part("session", 1, pattern(1, 0).then_silence(), options.clone()), too_large());
        refused(store.create_temp_part("session", 1, options), too_large());
        assert_parts(store, "session", []);
    }
}

fn no_bytes_at_all(store: &Store) {
    let options = PartOptions::new().limit(0);
    refused(store.put_temp_part("session", 1, endless(1), options.clone()), Error::TooLarge { limit: 0 });
    let empty = pattern(1, 0);
    let part = store.put_temp_part("session", 1, empty.source(), options).expect("a part");
    keep_part(store, &part, &empty);
}

fn a_writer(store: &Store) {
    let content = pattern(1, LIMIT);
    let mut writer = store.create_temp_part("session", 1, PartOptions::new().limit(LIMIT)).expect("a writer");
    assert_eq!(writer.pull(content.source()), Ok(LIMIT));
    let part = writer.finish(Expected::default()).expect("a part");
    keep_part(store, &part, &content);

    let mut writer = store.create_temp_part("session", 2, PartOptions::new().limit(LIMIT)).expect("a writer");
    assert_eq!(writer.pull(content.source()), Ok(LIMIT));
    refused(writer.pull(pattern(2, 1).source()), too_large());
    refused(writer.finish(Expected::default()), too_large());
    assert_parts(store, "session", [&part]);
}

/// The smaller of both limits counts.
fn beyond_the_largest_object(store: &Store) {
    let limit = store.info().max_object_size;
    refused(
        store.put_temp_part("session", 1, endless(1), PartOptions::new().limit(limit + 1)),
        Error::TooLarge { limit },
    );
    assert_parts(store, "session", []);
}
