//! Parts from a stream, in a file of their own or at their offset.

use portico_guest_conformance::*;

cases! {
    sizes,
    sizes_placed,
    receipt_tells_everything,
    numbers_are_slots,
    sessions_are_apart,
    digest_only_where_asked_for,
    fails_with_its_source,
    fails_on_what_was_expected,
    places_that_overlap,
    a_place_that_was_used_before,
    an_offset_is_only_a_hint,
    number_taken,
    same_content_is_replayed,
    other_content_conflicts,
    two_writers_interleaved,
    delete_and_put_again,
    frames_of_any_size,
    puts_at_once [instances=4],
    puts_of_neighbours_at_once [instances=4],
}

const SIZES: [u64; 11] = [
    0,
    1,
    (64 << 10) - 1,
    64 << 10,
    (64 << 10) + 1,
    (512 << 10) - 1,
    512 << 10,
    (512 << 10) + 1,
    (5 << 20) - 1,
    5 << 20,
    (5 << 20) + 1,
];

fn sizes(store: &Store) {
    for (number, size) in (0..).zip(SIZES) {
        let content = pattern(number, size);
        keep_part(store, &put_part(store, "session", number, &content), &content);
    }
}

fn sizes_placed(store: &Store) {
    let mut offset = 0;
    for (number, size) in (0..).zip(SIZES) {
        let content = pattern(number, size);
        keep_part(store, &put_placed(store, "session", number, &content, offset), &content);
        offset += size;
    }
}

fn receipt_tells_everything(store: &Store) {
    let content = pattern(1, 1_000);
    let options = PartOptions::new().offset(77).size(1_000).want_sha256();
    let part = store.put_temp_part("session", 5, content.source(), options).expect("a put");
    let expected = TempPart {
        temp_key: part.temp_key.clone(),
        part_number: 5,
        size: 1_000,
        sha256: Some(content.sha256()),
        offset: Some(77),
        replayed: false,
        is_prefix: false,
    };
    assert_eq!(part, expected);
    assert_parts(store, "session", [&part]);
    assert_eq!(store.list_temp_sessions(None, 10).expect("a listing").items, ["session"]);
    keep_part(store, &part, &content);
}

fn numbers_are_slots(store: &Store) {
    let mut parts = Vec::new();
    for number in [u32::MAX, 0, 1 << 31, 10_001, 7] {
        let content = pattern(number, 10);
        let part = put_part(store, "session", number, &content);
        keep_part(store, &part, &content);
        parts.push(part);
    }
    parts.sort_by_key(|part| part.part_number);
    assert_parts(store, "session", &parts);
}

fn sessions_are_apart(store: &Store) {
    let longest = "s".repeat(128);
    for (seed, session) in (1..).zip(["one", "two", "ONE", "one.two", "~", "placed", &longest]) {
        let content = pattern(seed, 100);
        let part = put_placed(store, session, 1, &content, 0);
        assert_parts(store, session, [&part]);
        keep_part(store, &part, &content);
    }
}

fn digest_only_where_asked_for(store: &Store) {
    let content = pattern(1, 600_000);
    let asked = [PartOptions::new(), PartOptions::new().want_sha256(), PartOptions::new().sha256(content.sha256())];
    for (number, options) in (0..).zip(asked) {
        for (number, options) in
            [(number, options.clone()), (number + 10, options.size(600_000).offset(600_000 * number as u64))]
        {
            let part = store.put_temp_part("session", number, content.source(), options.clone()).expect("a put");
            let asked = options.want_sha256 || options.expected.sha256.is_some();
            assert_eq!(part.sha256, asked.then(|| content.sha256()), "{options:?}");
            keep_part(store, &part, &content);
        }
    }
}

fn part_fails(store: &Store, content: InputStream, options: PartOptions, error: Error) {
    refused(store.put_temp_part("session", 1, content, options), error);
    assert_parts(store, "session", []);
    assert_eq!(store.sessions().count(), 0);
}

fn fails_with_its_source(store: &Store) {
    for received in [0, 1, 65_537, 512 << 10, 2 << 20] {
        let failing = || pattern(1, received).then_failure();
        part_fails(store, failing(), PartOptions::new(), Error::Interrupted { received });
        let placed = PartOptions::new().size(3 << 20).offset(1_000);
        part_fails(store, failing(), placed.clone(), Error::Interrupted { received });
        part_fails(store, failing(), placed.size(received), Error::Interrupted { received });
    }
    let content = pattern(2, 3 << 20);
    keep_part(store, &put_placed(store, "session", 1, &content, 1_000), &content);
}

fn fails_on_what_was_expected(store: &Store) {
    let content = pattern(1, 600_000);
    for options in [PartOptions::new(), PartOptions::new().offset(0), PartOptions::new().offset(1_000_000)] {
        let short = Error::SizeMismatch { expected: 600_001, actual: 600_000 };
        part_fails(store, content.source(), options.clone().size(600_001), short);
        let long = Error::SizeMismatch { expected: 599_999, actual: 600_000 };
        part_fails(store, content.source(), options.clone().size(599_999), long.clone());
        part_fails(store, endless(2), options.clone().size(599_999), long);
        let wrong = options.sha256(pattern(2, 1).sha256());
        part_fails(store, content.source(), wrong.clone(), Error::DigestMismatch);
        part_fails(store, content.source(), wrong.size(600_000), Error::DigestMismatch);
    }
    let options = PartOptions::new().size(600_000).offset(0).sha256(content.sha256());
    let part = store.put_temp_part("session", 1, content.source(), options).expect("a put");
    keep_part(store, &part, &content);
}

/// The same range twice, ranges that overlap on either side, and a range inside another.
fn places_that_overlap(store: &Store) {
    let places = [(100, 100), (100, 100), (50, 100), (150, 100), (120, 10), (0, 1_000), (200, 1), (99, 1)];
    for (number, (offset, size)) in (0..).zip(places) {
        let content = pattern(number, size);
        let part = put_placed(store, "session", number, &content, offset);
        keep_part(store, &part, &content);
    }
}

/// The content of an open stream must not change when its part is deleted and another part takes the same range.
fn a_place_that_was_used_before(store: &Store) {
    let (first, second) = (pattern(1, 700_000), pattern(2, 700_000));
    let part = put_placed(store, "session", 1, &first, 0);
    let open = read_part(store, &part);
    assert!(store.delete_temp_part(&part.temp_key).expect("a delete"));
    let again = put_placed(store, "session", 2, &second, 0);
    first.assert_read(open);
    keep_part(store, &again, &second);
}

/// An offset is a hint, so no put fails because of it, unless the offset is invalid.
fn an_offset_is_only_a_hint(store: &Store) {
    let content = pattern(1, 1_000);
    for (number, offset) in (0..).zip([1 << 32, 1 << 40, 1 << 50, i64::MAX as u64 - 1_000]) {
        keep_part(store, &put_placed(store, "session", number, &content, offset), &content);
    }
    // The part would end beyond 2^63 - 1, which the host notices with the size.
    let options = PartOptions::new().offset(i64::MAX as u64);
    refused_argument(store.put_temp_part("session", 10, content.source(), options), Argument::Offset);
}

fn number_taken(store: &Store) {
    let (first, second) = (pattern(1, 1_000), pattern(2, 1_000));
    let part = put_part(store, "session", 1, &first);
    for options in [PartOptions::new(), PartOptions::new().size(1_000).offset(0)] {
        refused(store.put_temp_part("session", 1, first.source(), options.clone()), Error::Conflict);
        refused(store.put_temp_part("session", 1, second.source(), options.clone()), Error::Conflict);
        refused(store.create_temp_part("session", 1, options), Error::Conflict);
    }
    refused(store.put_temp_part("session", 1, endless(3), PartOptions::new()), Error::Conflict);
    keep_part(store, &part, &first);
}

fn same_content_is_replayed(store: &Store) {
    for (number, size) in [(1, 0), (2, 1), (3, 700_000)] {
        let content = pattern(number, size);
        let part = match number {
            3 => put_placed(store, "session", number, &content, 1_000),
            _ => put_part(store, "session", number, &content),
        };
        let again = PartOptions::new().same_content_ok();
        for options in [
            again.clone(),
            again.clone().size(size),
            again.clone().offset(0).size(size),
            again.clone().offset(5_000_000),
        ] {
            let again = store.put_temp_part("session", number, content.source(), options).expect("a replay");
            assert_eq!(again, TempPart { replayed: true, ..part.clone() });
        }
        let mut writer = store.create_temp_part("session", number, again).expect("a writer");
        content.write_to(&mut writer.sink().expect("a sink"));
        let again = writer.finish(Expected::default()).expect("a replay");
        assert_eq!(again, TempPart { replayed: true, ..part.clone() });
        keep_part(store, &part, &content);
    }
}

fn other_content_conflicts(store: &Store) {
    let content = pattern(1, 100_000);
    for (number, placed) in [(1, false), (2, true)] {
        let part = match placed {
            true => put_placed(store, "session", number, &content, 0),
            false => put_part(store, "session", number, &content),
        };
        let options = PartOptions::new().same_content_ok();
        for other in [pattern(2, 100_000), pattern(1, 99_999), pattern(1, 100_001), pattern(1, 0)] {
            refused(store.put_temp_part("session", number, other.source(), options.clone()), Error::Conflict);
            let sized = options.clone().size(other.size()).offset(0);
            refused(store.put_temp_part("session", number, other.source(), sized), Error::Conflict);
        }
        keep_part(store, &part, &content);
    }
}

fn two_writers_interleaved(store: &Store) {
    let (first, second) = (pattern(1, 300_000), pattern(2, 300_000));
    for (number, options) in [(1, PartOptions::new()), (2, PartOptions::new().size(300_000).offset(0))] {
        let mut one = store.create_temp_part("session", number, options.clone()).expect("a writer");
        let mut two = store.create_temp_part("session", number, options.clone()).expect("a writer");
        let mut same = store.create_temp_part("session", number, options.same_content_ok()).expect("a writer");
        one.pull(first.source()).expect("a pull");
        two.pull(second.source()).expect("a pull");
        same.pull(second.source()).expect("a pull");
        let part = two.finish(Expected::default()).expect("a part");
        refused(one.finish(Expected::default()), Error::Conflict);
        let again = same.finish(Expected::default()).expect("a replay");
        assert_eq!(again, TempPart { replayed: true, ..part.clone() });
        keep_part(store, &part, &second);
    }
}

fn delete_and_put_again(store: &Store) {
    let content = pattern(1, 100_000);
    for (number, placed) in [(1, false), (2, true)] {
        let put = || match placed {
            true => put_placed(store, "session", number, &content, 0),
            false => put_part(store, "session", number, &content),
        };
        let first = put();
        assert!(store.delete_temp_part(&first.temp_key).expect("a delete"));
        let second = put();
        assert_ne!(first.temp_key, second.temp_key, "a key is of one write");
        refused(store.get_temp_part_stream(&first.temp_key, ..), Error::NotFound);
        assert!(!store.delete_temp_part(&first.temp_key).expect("an answer"), "that of the second is another");
        keep_part(store, &second, &content);
    }
}

fn frames_of_any_size(store: &Store) {
    let mut offset = 0;
    for (frame, size) in [(1, 3_000), (7, 20_000), (16 << 10, 200_000), (3 << 20, 7 << 20)] {
        let content = pattern(frame, size);
        let options = PartOptions::new().size(size).offset(offset);
        let part = store.put_temp_part("session", frame, content.in_frames_of(frame), options).expect("a put");
        keep_part(store, &part, &content);
        offset += size;
    }
}

/// Exactly one put stores the part, and the others report this; with and without an offset.
fn puts_at_once(store: &Store) {
    let own = fixture::instance();
    for number in 0..6 {
        let content = pattern(10 * number + own, 100_000);
        let options = match number % 2 {
            0 => PartOptions::new(),
            _ => PartOptions::new().size(100_000).offset(100_000 * u64::from(number)),
        };
        fixture::meet();
        match store.put_temp_part("session", number, content.source(), options) {
            Ok(part) => {
                keep_part(store, &part, &content);
                fixture::report(&part.part_number.to_string());
            }
            Err(error) => assert_eq!(error, Error::Conflict),
        }
        fixture::meet();
        let words = fixture::reports();
        assert_eq!(words.len(), number as usize + 1, "{words:?}");
    }
}

/// Each instance writes its own ranges of the session, alternating with the others, and one instance assembles all.
fn puts_of_neighbours_at_once(store: &Store) {
    const SIZE: u64 = 70_001;
    let own = fixture::instance();
    fixture::meet();
    for round in 0..5 {
        let number = 4 * round + own;
        put_placed(store, "session", number, &pattern(number, SIZE), SIZE * u64::from(number));
    }
    fixture::meet();
    if own == 0 {
        let whole = (0..20).fold(Content::default(), |whole, number| whole.then(&pattern(number, SIZE)));
        let keys = parts_of(store, "session").into_iter().map(|part| part.temp_key);
        let object = store.assemble_final("file", keys, FinalOptions::new()).expect("an object");
        keep_object(store, &object, &whole);
    }
}
