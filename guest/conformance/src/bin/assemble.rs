//! Final objects of parts.

use portico_guest_conformance::*;

cases! {
    nothing,
    one_part,
    one_placed_part,
    in_order,
    in_order_placed,
    placed_in_reverse,
    in_another_order_than_the_numbers,
    in_another_order_than_the_places,
    placed_and_not,
    with_empty_parts,
    parts_of_many_sizes,
    of_two_sessions,
    some_of_the_parts,
    after_a_part_was_put_again,
    many_parts,
    options_are_kept,
    expectations_are_met,
    replayed,
    replay_consumes_the_parts,
    session_goes_on_afterwards,
    digests_do_not_depend_on_the_way,
}

/// Assembles parts in the given order. Checks the content of the object, and that no parts remain.
fn assemble(store: &Store, parts: &[(TempPart, Content)]) -> (StoredObject, Content) {
    let whole = parts.iter().fold(Content::default(), |whole, (_, content)| whole.then(content));
    let keys = parts.iter().map(|(part, _)| part.temp_key.clone());
    let object = store.assemble_final("file", keys, FinalOptions::new()).expect("an object");
    assert_eq!((object.file_id.as_str(), object.replayed), ("file", false));
    keep_object(store, &object, &whole);
    for (part, _) in parts {
        refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
        assert_eq!(store.delete_temp_part(&part.temp_key), Ok(false));
    }
    (object, whole)
}

/// Puts parts of these sizes at consecutive offsets, in the given order.
fn placed(store: &Store, session: &str, sizes: &[u64]) -> Vec<(TempPart, Content)> {
    let mut offset = 0;
    let mut parts = Vec::new();
    for (number, &size) in (0..).zip(sizes) {
        let content = pattern(number, size);
        parts.push((put_placed(store, session, number, &content, offset), content));
        offset += size;
    }
    parts
}

fn unplaced(store: &Store, session: &str, sizes: &[u64]) -> Vec<(TempPart, Content)> {
    let contents = (0..).zip(sizes).map(|(number, &size)| (number, pattern(number, size)));
    contents.map(|(number, content)| (put_part(store, session, number, &content), content)).collect()
}

fn nothing(store: &Store) {
    assemble(store, &[]);
}

fn one_part(store: &Store) {
    assemble(store, &unplaced(store, "session", &[600_000]));
    assert_parts(store, "session", []);
}

fn one_placed_part(store: &Store) {
    assemble(store, &placed(store, "session", &[600_000]));
    assert_parts(store, "session", []);
}

fn in_order(store: &Store) {
    assemble(store, &unplaced(store, "session", &[100_000, 200_000, 300_000]));
    assert_parts(store, "session", []);
    assert_eq!(store.sessions().count(), 0);
}

fn in_order_placed(store: &Store) {
    assemble(store, &placed(store, "session", &[100_000, 200_000, 300_000]));
    assert_parts(store, "session", []);
    assert_eq!(store.sessions().count(), 0);
}

fn placed_in_reverse(store: &Store) {
    let contents = [pattern(0, 100_000), pattern(1, 200_000), pattern(2, 300_000)];
    let third = put_placed(store, "session", 2, &contents[2], 300_000);
    let second = put_placed(store, "session", 1, &contents[1], 100_000);
    let first = put_placed(store, "session", 0, &contents[0], 0);
    let parts: Vec<_> = [first, second, third].into_iter().zip(contents).collect();
    assemble(store, &parts);
}

fn in_another_order_than_the_numbers(store: &Store) {
    let mut parts = unplaced(store, "session", &[100_000, 200_000, 300_000, 1]);
    parts.swap(0, 2);
    parts.swap(1, 3);
    assemble(store, &parts);
}

fn in_another_order_than_the_places(store: &Store) {
    let mut parts = placed(store, "session", &[100_000, 200_000, 300_000, 1]);
    parts.swap(0, 2);
    parts.swap(1, 3);
    assemble(store, &parts);
}

fn placed_and_not(store: &Store) {
    let contents: Vec<Content> = (0..5).map(|number| pattern(number, 100_000 + u64::from(number))).collect();
    let mut offset = 0;
    let mut parts = Vec::new();
    for (number, content) in (0..).zip(contents) {
        let part = match number {
            1 | 4 => put_part(store, "session", number, &content),
            _ => put_placed(store, "session", number, &content, offset),
        };
        offset += content.size();
        parts.push((part, content));
    }
    assemble(store, &parts);
}

fn with_empty_parts(store: &Store) {
    let mut parts = placed(store, "session", &[0, 1_000, 0, 0, 70_000, 0]);
    let empty = pattern(9, 0);
    parts.insert(2, (put_part(store, "session", 9, &empty), empty.clone()));
    parts.push((put_part(store, "session", 10, &empty), empty));
    assemble(store, &parts);
}

fn parts_of_many_sizes(store: &Store) {
    assemble(store, &placed(store, "session", &[1, 65_535, 524_289, 64, 5 << 20, 7, 0, 4_095]));
    assert_parts(store, "session", []);
}

fn of_two_sessions(store: &Store) {
    let mut parts = placed(store, "one", &[100_000, 50_000]);
    parts.extend(placed(store, "two", &[200_000, 3]));
    parts.extend(unplaced(store, "three", &[10]));
    parts.swap(1, 2);
    assemble(store, &parts);
    assert_eq!(store.sessions().count(), 0);
}

/// Parts that are not in the list remain.
fn some_of_the_parts(store: &Store) {
    for left_out in 0..4 {
        let scope = format!("scope-{left_out}");
        let narrow = store.scope(&scope).expect("a scope");
        let mut parts = placed(&narrow, "session", &[100_000, 200_000, 300_000, 400_000]);
        let (rest, content) = parts.remove(left_out);
        let whole = parts.iter().fold(Content::default(), |whole, (_, content)| whole.then(content));
        let keys = parts.iter().map(|(part, _)| part.temp_key.clone());
        let object = narrow.assemble_final("file", keys, FinalOptions::new()).expect("an object");
        keep_object(&narrow, &object, &whole);
        assert_parts(&narrow, "session", [&rest]);
        content.assert_read(read_part(&narrow, &rest));
        fixture::keep_part(&[scope], &rest.temp_key, content.pieces());
    }
}

fn after_a_part_was_put_again(store: &Store) {
    let mut parts = placed(store, "session", &[100_000, 200_000, 300_000]);
    store.delete_temp_part(&parts[1].0.temp_key).expect("a delete");
    let content = pattern(9, 200_000);
    parts[1] = (put_placed(store, "session", 1, &content, 100_000), content);
    assemble(store, &parts);
    assert_parts(store, "session", []);
}

fn many_parts(store: &Store) {
    let sizes: Vec<u64> = (0..300).map(|number| number * 37 % 1_000).collect();
    assemble(store, &placed(store, "session", &sizes));
}

fn options_are_kept(store: &Store) {
    let (part, content) = placed(store, "session", &[1_000]).remove(0);
    let options = FinalOptions::new().content_type("image/png").metadata("b", "1").metadata("a", "2");
    let object = store.assemble_final("file", [part.temp_key], options.clone()).expect("an object");
    assert_eq!((&object.content_type, &object.metadata), (&options.content_type, &options.metadata));
    keep_object(store, &object, &content);
}

fn expectations_are_met(store: &Store) {
    let parts = placed(store, "session", &[100_000, 200_000]);
    let whole = parts[0].1.clone().then(&parts[1].1);
    let options = FinalOptions::new().size(300_000).sha256(whole.sha256());
    let keys = parts.iter().map(|(part, _)| part.temp_key.clone());
    keep_object(store, &store.assemble_final("file", keys, options).expect("an object"), &whole);
    let empty = FinalOptions::new().size(0).sha256(pattern(1, 0).sha256());
    keep_object(store, &store.assemble_final("empty", [""; 0], empty).expect("an object"), &pattern(1, 0));
}

/// A retry after a lost response: the parts are consumed, and the object is the proof.
fn replayed(store: &Store) {
    let (object, content) = assemble(store, &placed(store, "session", &[100_000, 200_000]));
    let again = store.put_final("file", read(store, &object).into_inner(), FinalOptions::new().same_content_ok());
    assert_eq!(again, Ok(StoredObject { replayed: true, ..object.clone() }));
    content.assert_read(read(store, &object));
}

fn replay_consumes_the_parts(store: &Store) {
    let content = pattern(0, 100_000).then(&pattern(1, 200_000));
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    content.write_to(&mut writer.sink().expect("a sink"));
    let object = writer.finish(Expected::default()).expect("an object");
    for parts in [placed(store, "session", &[100_000, 200_000]), unplaced(store, "other", &[100_000, 200_000])] {
        let keys = parts.iter().map(|(part, _)| part.temp_key.clone());
        let again = store.assemble_final("file", keys, FinalOptions::new().same_content_ok());
        assert_eq!(again, Ok(StoredObject { replayed: true, ..object.clone() }));
    }
    assert_eq!(store.sessions().count(), 0);
    keep_object(store, &object, &content);
}

/// The store does not know when a session ends, so a later part is stored.
fn session_goes_on_afterwards(store: &Store) {
    assemble(store, &placed(store, "session", &[100_000, 200_000]));
    let content = pattern(9, 100_000);
    let late = put_placed(store, "session", 1, &content, 0);
    assert_parts(store, "session", [&late]);
    let object = store.assemble_final("late", [late.temp_key], FinalOptions::new()).expect("an object");
    keep_object(store, &object, &content);
}

fn digests_do_not_depend_on_the_way(store: &Store) {
    let content = pattern(1, 1_000_000);
    let whole = put(store, "whole", &content);
    let cuts = [0, 1, 63, 64, 65, 500_000, 500_000, 1_000_000];
    for (session, wants_place) in [("placed", true), ("own", false)] {
        let mut keys = Vec::new();
        for (number, cut) in (0..).zip(cuts.windows(2)) {
            let range = store.get_final_stream(&whole.bucket, &whole.key, cut[0]..cut[1]).expect("a stream");
            let options = match wants_place {
                true => PartOptions::new().size(cut[1] - cut[0]).offset(cut[0]),
                false => PartOptions::new(),
            };
            let part = store.put_temp_part(session, number, range.into_inner(), options).expect("a part");
            keys.push(part.temp_key);
        }
        let object = store.assemble_final(session, keys, FinalOptions::new()).expect("an object");
        assert_eq!(object.sha256, whole.sha256);
        keep_object(store, &object, &content);
    }
    keep_object(store, &whole, &content);
}
