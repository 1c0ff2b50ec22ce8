//! One part of several parts of a session.

use portico_guest_conformance::hosts::{ROUNDS, ended, name};
use portico_guest_conformance::*;

cases! {
    neighbours,
    parts_with_files_of_their_own,
    neighbours_and_others,
    parts_with_gaps_between_them,
    another_order_than_that_of_numbers,
    some_of_the_parts_of_a_session,
    empty_parts_among_them,
    only_empty_parts,
    prefixes,
    joins_of_joins,
    many_parts,
    assembled_again_and_again,
    pieces_of_all_sizes [needs="large"],
    the_joined_parts_are_gone,
    open_streams_continue,
    a_part_where_the_joined_ones_were,
    in_a_narrower_scope,
    number_taken,
    a_part_twice,
    a_part_that_is_missing,
    a_part_of_another_session,
    fewer_than_two_parts,
    too_many_parts,
    malformed_arguments,
    more_bytes_than_any_part_may_have [needs="small-limit"],
    beside_a_running_put [instances=2],
    into_one_number_at_once [instances=2],
    a_race_with_an_assembly [instances=2],
    a_race_with_the_deletion_of_the_session [instances=2],
}

/// Joins parts, checks the receipt and that of the listing, and that the joined parts are gone.
#[track_caller]
fn join(store: &Store, number: u32, parts: &[&TempPart], size: u64) -> TempPart {
    let keys: Vec<String> = parts.iter().map(|part| part.temp_key.clone()).collect();
    let joined = store.join_temp_parts("session", number, &keys).expect("a join");
    let expected = TempPart {
        temp_key: joined.temp_key.clone(),
        part_number: number,
        size,
        sha256: None,
        offset: parts[0].offset,
        replayed: false,
        is_prefix: false,
    };
    assert_eq!(joined, expected);
    assert_eq!(store.stat_temp_part(&joined.temp_key), Ok(expected));
    for part in parts {
        refused(store.stat_temp_part(&part.temp_key), Error::NotFound);
    }
    joined
}

/// Assembles parts into a content, and keeps the object.
#[track_caller]
fn assemble(store: &Store, parts: &[&TempPart], content: &Content) {
    let keys = parts.iter().map(|part| part.temp_key.clone());
    let options = FinalOptions::new().sha256(content.sha256()).size(content.size());
    let object = store.assemble_final("file", keys, options).expect("an object");
    keep_object(store, &object, content);
    assert_parts(store, "session", []);
}

/// The sizes of the parts of most cases: less than a batch of a backend, more, and tiny.
const SIZES: [u64; 4] = [70_000, 600_001, 1, 30_000];

/// Puts parts with the numbers 1, 2 and so on; those of `placed` at their offsets.
fn put_parts(store: &Store, sizes: &[u64], placed: impl Fn(usize) -> bool) -> (Vec<TempPart>, Vec<Content>) {
    let (mut parts, mut contents, mut offset) = (Vec::new(), Vec::new(), 0);
    for (at, size) in sizes.iter().enumerate() {
        let (number, content) = (at as u32 + 1, pattern(at as u32 + 1, *size));
        parts.push(match placed(at) {
            true => put_placed(store, "session", number, &content, offset),
            false => put_part(store, "session", number, &content),
        });
        contents.push(content);
        offset += size;
    }
    (parts, contents)
}

fn whole(contents: &[Content]) -> Content {
    contents.iter().fold(Content::default(), |whole, content| whole.then(content))
}

/// Joins all parts, reads the join and ranges of it, and assembles it.
fn join_all(store: &Store, sizes: &[u64], placed: impl Fn(usize) -> bool) {
    let (parts, contents) = put_parts(store, sizes, placed);
    let content = whole(&contents);
    let joined = join(store, 100, &parts.iter().collect::<Vec<_>>(), content.size());
    assert_parts(store, "session", [&joined]);
    content.assert_read(read_part(store, &joined));
    let mut border = 0;
    for size in sizes {
        border += size;
        let (start, end) = (border.saturating_sub(3), (border + 3).min(content.size()));
        let range = store.get_temp_part_stream(&joined.temp_key, start..end).expect("a stream");
        content.slice(start, end).assert_read(range);
    }
    assemble(store, &[&joined], &content);
}

fn neighbours(store: &Store) {
    join_all(store, &SIZES, |_| true);
}

fn parts_with_files_of_their_own(store: &Store) {
    join_all(store, &SIZES, |_| false);
}

fn neighbours_and_others(store: &Store) {
    join_all(store, &SIZES, |at| at % 2 == 0);
}

/// All parts know their offsets, and one of them lies elsewhere than behind the part before it.
fn parts_with_gaps_between_them(store: &Store) {
    let (one, two) = (pattern(1, 1_000), pattern(2, 2_000));
    let first = put_placed(store, "session", 1, &one, 0);
    let second = put_placed(store, "session", 2, &two, 5_000);
    let joined = join(store, 3, &[&first, &second], 3_000);
    assemble(store, &[&joined], &one.then(&two));
}

fn another_order_than_that_of_numbers(store: &Store) {
    for placed in [true, false] {
        let (parts, contents) = put_parts(store, &SIZES, |_| placed);
        let joined = join(store, 100, &[&parts[2], &parts[0], &parts[3], &parts[1]], whole(&contents).size());
        let content = contents[2].clone().then(&contents[0]).then(&contents[3]).then(&contents[1]);
        content.assert_read(read_part(store, &joined));
        assert_eq!(store.delete_session_parts("session"), Ok(1));
    }
    // Numbers that fall where the offsets grow: neighbours.
    let contents = [pattern(1, 70_000), pattern(2, 80_000)];
    let first = put_placed(store, "session", 9, &contents[0], 0);
    let second = put_placed(store, "session", 4, &contents[1], 70_000);
    let joined = join(store, 1, &[&first, &second], 150_000);
    assemble(store, &[&joined], &whole(&contents));
}

fn some_of_the_parts_of_a_session(store: &Store) {
    let (parts, contents) = put_parts(store, &SIZES, |_| true);
    let joined = join(store, 50, &[&parts[1], &parts[2]], 600_002);
    assert_parts(store, "session", [&parts[0], &parts[3], &joined]);
    assemble(store, &[&parts[0], &joined, &parts[3]], &whole(&contents));
}

fn empty_parts_among_them(store: &Store) {
    let sizes = [0, 50_000, 0, 0, 600_000, 0];
    join_all(store, &sizes, |_| true);
    let (parts, contents) = put_parts(store, &sizes, |at| at % 2 == 1);
    let content = whole(&contents);
    let joined = join(store, 100, &parts.iter().collect::<Vec<_>>(), content.size());
    keep_part(store, &joined, &content);
}

fn only_empty_parts(store: &Store) {
    for placed in [true, false] {
        let (parts, _) = put_parts(store, &[0, 0], |_| placed);
        let joined = join(store, 3, &[&parts[0], &parts[1]], 0);
        let object = store.assemble_final(&format!("file-{placed}"), [joined.temp_key], FinalOptions::new());
        keep_object(store, &object.expect("an object"), &pattern(1, 0));
    }
}

fn prefixes(store: &Store) {
    let contents = [pattern(1, 300_000), pattern(2, 1), pattern(3, 400_000)];
    let (mut parts, mut offset): (Vec<TempPart>, u64) = (Vec::new(), 0);
    for (number, content) in (1..).zip(&contents) {
        let mut options = PartOptions::new().keep_prefix().offset(offset);
        options.previous = parts.last().map(|part| part.temp_key.clone());
        parts.push(store.put_temp_part("session", number, content.then_failure(), options).expect("a prefix"));
        offset += content.size();
    }
    let joined = join(store, 9, &parts.iter().collect::<Vec<_>>(), offset);
    assemble(store, &[&joined], &whole(&contents));
}

fn joins_of_joins(store: &Store) {
    for placed in [true, false] {
        let (parts, contents) = put_parts(store, &SIZES, |_| placed);
        let first = join(store, 11, &[&parts[0], &parts[1]], 670_001);
        let second = join(store, 12, &[&parts[2], &parts[3]], 30_001);
        let third = join(store, 13, &[&first, &second], 700_002);
        whole(&contents).assert_read(read_part(store, &third));
        if placed {
            // The next part follows the join.
            let more = pattern(7, 40_000);
            let next = put_placed(store, "session", 20, &more, 700_002);
            let fourth = join(store, 21, &[&third, &next], 740_002);
            let content = whole(&contents).then(&more);
            assemble(store, &[&fourth], &content);
        } else {
            assert_eq!(store.delete_session_parts("session"), Ok(1));
        }
    }
}

fn many_parts(store: &Store) {
    let sizes: Vec<u64> = (0..70).map(|at| 1_000 + at).collect();
    join_all(store, &sizes, |_| true);
    let (parts, contents) = put_parts(store, &sizes, |_| false);
    let joined = join(store, 100, &parts.iter().collect::<Vec<_>>(), whole(&contents).size());
    keep_part(store, &joined, &whole(&contents));
}

/// A session that grows as an upload protocol makes it grow.
fn assembled_again_and_again(store: &Store) {
    let (mut content, mut last): (Content, Option<TempPart>) = (Content::default(), None);
    for round in 0..12 {
        let piece = pattern(round, 20_000 + u64::from(round));
        let mut options = PartOptions::new().keep_prefix().offset(content.size());
        options.previous = last.as_ref().map(|part| part.temp_key.clone());
        let part = store.put_temp_part("session", 2 * round, piece.source(), options).expect("a part");
        content = content.then(&piece);
        last = Some(match last {
            Some(last) => join(store, 2 * round + 1, &[&last, &part], content.size()),
            None => part,
        });
    }
    assemble(store, &[&last.expect("a part")], &content);
}

/// Parts that a remote backend stores as several pieces, joined to one that it can copy.
fn pieces_of_all_sizes(store: &Store) {
    let sizes = [6 << 20, 1, (5 << 20) - 1, 5 << 20, (11 << 20) + 7];
    let (parts, contents) = put_parts(store, &sizes, |at| at != 2);
    let joined = join(store, 100, &parts[..4].iter().collect::<Vec<_>>(), sizes[..4].iter().sum());
    assert!(joined.size <= store.info().max_join_size);
    assemble(store, &[&joined, &parts[4]], &whole(&contents));
}

fn the_joined_parts_are_gone(store: &Store) {
    for placed in [true, false] {
        let (parts, contents) = put_parts(store, &SIZES, |_| placed);
        let joined = join(store, 100, &parts.iter().collect::<Vec<_>>(), whole(&contents).size());
        for part in &parts {
            refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
            assert_eq!(store.delete_temp_part(&part.temp_key), Ok(false));
            refused(store.assemble_final("file", [&part.temp_key], FinalOptions::new()), Error::NotFound);
            refused(
                store.join_temp_parts("session", 200, &[joined.temp_key.clone(), part.temp_key.clone()]),
                Error::NotFound,
            );
        }
        assert_parts(store, "session", [&joined]);
        assert_eq!(store.delete_session_parts("session"), Ok(1));
    }
    assert_free(store, "file");
}

fn open_streams_continue(store: &Store) {
    for placed in [true, false] {
        let (parts, contents) = put_parts(store, &[700_000, 700_000], |_| placed);
        let open = [read_part(store, &parts[0]), read_part(store, &parts[1])];
        join(store, 100, &[&parts[0], &parts[1]], 1_400_000);
        for (stream, content) in open.into_iter().zip(&contents) {
            content.assert_read(stream);
        }
        assert_eq!(store.delete_session_parts("session"), Ok(1));
    }
}

/// A number and a range that joined parts had are free for others, and no byte of the join changes.
fn a_part_where_the_joined_ones_were(store: &Store) {
    let (parts, contents) = put_parts(store, &SIZES, |_| true);
    let joined = join(store, 100, &parts.iter().collect::<Vec<_>>(), whole(&contents).size());
    let other = pattern(9, SIZES[1]);
    let again = put_placed(store, "session", 2, &other, SIZES[0]);
    keep_part(store, &again, &other);
    keep_part(store, &joined, &whole(&contents));
}

fn in_a_narrower_scope(store: &Store) {
    let scoped = store.scope("scope").expect("a scope");
    let (one, two) = (pattern(1, 1_000), pattern(2, 2_000));
    let first = put_placed(&scoped, "session", 1, &one, 0);
    let second = put_placed(&scoped, "session", 2, &two, 1_000);
    let keys = [first.temp_key, second.temp_key];
    refused(store.join_temp_parts("session", 3, &keys), Error::NotFound);
    let joined = scoped.join_temp_parts("session", 3, &keys).expect("a join");
    let content = one.then(&two);
    content.assert_read(read_part(&scoped, &joined));
    fixture::keep_part(&["scope".to_owned()], &joined.temp_key, content.pieces());
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

/// A join ends no put of its session.
fn beside_a_running_put(store: &Store) {
    match fixture::instance() {
        0 => {
            let options = PartOptions::new().keep_prefix().offset(700_002);
            let content = pattern(50, 100_000);
            let part = store.put_temp_part("session", 9, content.then_silence(), options).expect("a prefix");
            fixture::meet();
            keep_part(store, &part, &content);
        }
        _ => {
            let (parts, contents) = put_parts(store, &SIZES, |_| true);
            fixture::await_end(50);
            let joined = join(store, 8, &parts.iter().collect::<Vec<_>>(), 700_002);
            assert_parts(store, "session", [&joined]);
            store.interrupt("session").expect("an end");
            fixture::meet();
            keep_part(store, &joined, &whole(&contents));
        }
    }
}

/// The parts of a race, which the first instance puts. Both instances get their keys.
fn race(store: &Store, session: &str, round: u32, placed: bool) -> (Vec<String>, Content) {
    let contents = [pattern(10 * round, 30_000), pattern(10 * round + 1, 20_000), pattern(10 * round + 2, 10_000)];
    if fixture::instance() == 0 {
        let mut offset = 0;
        for (number, content) in (1..).zip(&contents) {
            match placed {
                true => put_placed(store, session, number, content, offset),
                false => put_part(store, session, number, content),
            };
            offset += content.size();
        }
    }
    fixture::meet();
    let keys = parts_of(store, session).into_iter().map(|part| part.temp_key).collect();
    fixture::meet();
    (keys, whole(&contents))
}

/// Of two joins of the same parts to one number, one makes the part.
fn into_one_number_at_once(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let (keys, content) = race(store, &session, round, round % 2 == 0);
        let how = match store.join_temp_parts(&session, 9, &keys) {
            Ok(joined) => {
                keep_part(store, &joined, &content);
                "joined"
            }
            Err(Error::Conflict | Error::NotFound) => "refused",
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(ended(round, how), ["joined", "refused"]);
        assert_eq!(parts_of(store, &session).len(), 1);
    }
}

/// Either of a join and an assembly of the same parts wins, and nothing is lost.
fn a_race_with_an_assembly(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let (keys, content) = race(store, &session, round, round % 2 == 0);
        let how = if fixture::instance() == 0 {
            match store.join_temp_parts(&session, 9, &keys[..2]) {
                Ok(_) => "joined",
                Err(Error::NotFound | Error::Interrupted { .. }) => "not joined",
                Err(error) => panic!("{error:?}"),
            }
        } else {
            match store.assemble_final(&session, &keys, FinalOptions::new()) {
                Ok(object) => {
                    keep_object(store, &object, &content);
                    "assembled"
                }
                Err(Error::NotFound) => "not assembled",
                Err(error) => panic!("{error:?}"),
            }
        };
        let how = ended(round, how);
        if how.contains(&"not assembled".to_owned()) {
            // The join has won, so the same content is in two parts.
            assert!(how.contains(&"joined".to_owned()), "{how:?}");
            if fixture::instance() == 0 {
                let mut parts = parts_of(store, &session);
                assert_eq!(parts.len(), 2, "{how:?}");
                parts.sort_by_key(|part| std::cmp::Reverse(part.part_number));
                let keys = parts.into_iter().map(|part| part.temp_key);
                let object = store.assemble_final(&session, keys, FinalOptions::new()).expect("an object");
                keep_object(store, &object, &content);
            }
        } else if fixture::instance() == 0 {
            // A join that was faster than the assembly leaves its part.
            store.delete_session_parts(&session).expect("a deletion");
        }
        fixture::meet();
    }
}

fn a_race_with_the_deletion_of_the_session(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let (keys, content) = race(store, &session, round, round % 2 == 0);
        if fixture::instance() == 0 {
            match store.join_temp_parts(&session, 9, &keys) {
                Ok(_) | Err(Error::NotFound | Error::Interrupted { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        } else {
            store.delete_session_parts(&session).expect("a deletion");
        }
        fixture::meet();
        if fixture::instance() == 0 {
            // A join that began its commit before leaves the whole.
            match parts_of(store, &session).as_slice() {
                [] => {}
                [part] => {
                    let stream = store.get_temp_part_stream(&part.temp_key, ..).expect("a stream");
                    content.assert_read(stream);
                    assert_eq!(store.delete_session_parts(&session), Ok(1));
                }
                parts => panic!("{parts:?}"),
            }
        }
        fixture::meet();
    }
}
