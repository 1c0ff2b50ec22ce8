//! Joins that are refused. They change nothing.

use portico_guest_conformance::joins::{join, put_parts};
use portico_guest_conformance::*;

cases! {
    number_taken,
    a_part_twice,
    a_part_that_is_missing,
    a_part_of_another_session,
    fewer_than_two_parts,
    too_many_parts,
    malformed_arguments,
    more_bytes_than_any_part_may_have [needs="small-limit"],
}

/// Checks that a join is refused, and changes nothing.
#[track_caller]
fn join_fails(store: &Store, number: u32, keys: &[&str], error: Error) {
    let before = parts_of(store, "session");
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    refused(store.join_temp_parts("session", number, &keys), error);
    assert_eq!(parts_of(store, "session"), before);
}

/// Two neighbours and a part of its own, which are kept.
fn three(store: &Store) -> [String; 3] {
    let (parts, contents) = put_parts(store, &[1_000, 2_000, 3_000], |at| at < 2);
    for (part, content) in parts.iter().zip(&contents) {
        keep_part(store, part, content);
    }
    [0, 1, 2].map(|at| parts[at].temp_key.clone())
}

fn number_taken(store: &Store) {
    let [one, two, three] = &three(store);
    for keys in [[one, two], [one, three]] {
        // By another part, and by one of those to be joined.
        join_fails(store, 3, &keys.map(String::as_str), Error::Conflict);
        join_fails(store, 1, &keys.map(String::as_str), Error::Conflict);
    }
}

fn a_part_twice(store: &Store) {
    let [one, two, _] = &three(store);
    join_fails(store, 9, &[one, one], Error::InvalidArgument(Argument::Parts));
    join_fails(store, 9, &[one, two, one], Error::InvalidArgument(Argument::Parts));
}

fn a_part_that_is_missing(store: &Store) {
    let [one, two, three] = &three(store);
    let gone = put_placed(store, "session", 4, &pattern(4, 500), 3_000).temp_key;
    assert_eq!(store.delete_temp_part(&gone), Ok(true));
    join_fails(store, 9, &[one, two, &gone], Error::NotFound);
    join_fails(store, 9, &[&gone, three], Error::NotFound);
    // Another write has the number of the missing one.
    let content = pattern(5, 500);
    keep_part(store, &put_part(store, "session", 4, &content), &content);
    join_fails(store, 9, &[one, two, &gone], Error::NotFound);
}

fn a_part_of_another_session(store: &Store) {
    let [one, two, _] = &three(store);
    let content = pattern(4, 500);
    let other = put_placed(store, "other", 4, &content, 3_000);
    join_fails(store, 9, &[one, two, &other.temp_key], Error::InvalidArgument(Argument::Parts));
    refused_argument(store.join_temp_parts("other", 9, &[one.clone(), two.clone()]), Argument::Parts);
    keep_part(store, &other, &content);
}

fn fewer_than_two_parts(store: &Store) {
    let [one, ..] = &three(store);
    join_fails(store, 9, &[], Error::InvalidArgument(Argument::Parts));
    join_fails(store, 9, &[one], Error::InvalidArgument(Argument::Parts));
}

fn too_many_parts(store: &Store) {
    let [one, ..] = &three(store);
    join_fails(store, 9, &[one.as_str(); 1_001], Error::InvalidArgument(Argument::Parts));
}

fn malformed_arguments(store: &Store) {
    let [one, two, _] = &three(store);
    join_fails(store, 9, &[one, ""], Error::InvalidArgument(Argument::TempKey));
    join_fails(store, 9, &[two, "../../x"], Error::InvalidArgument(Argument::TempKey));
    let keys = [one.clone(), two.clone()];
    for session in ["", ".", "a/b"] {
        refused_argument(store.join_temp_parts(session, 9, &keys), Argument::SessionId);
    }
}

fn more_bytes_than_any_part_may_have(store: &Store) {
    let limit = store.info().max_join_size;
    assert!(limit <= store.info().max_object_size);
    let contents = [pattern(1, limit / 2), pattern(2, limit / 2), pattern(3, 1)];
    let (mut parts, mut offset) = (Vec::new(), 0);
    for (number, content) in (1..).zip(&contents) {
        parts.push(put_placed(store, "session", number, content, offset));
        offset += content.size();
    }
    let keys: Vec<&str> = parts.iter().map(|part| part.temp_key.as_str()).collect();
    join_fails(store, 9, &keys, Error::TooLarge { limit });
    // As much as the limit allows.
    let joined = join(store, 9, &[&parts[0], &parts[1]], limit / 2 * 2);
    keep_part(store, &joined, &contents[0].clone().then(&contents[1]));
    keep_part(store, &parts[2], &contents[2]);
}
