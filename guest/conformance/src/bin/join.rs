//! One part of several parts of a session.

use portico_guest_conformance::joins::{SIZES, assemble, join, put_parts, whole};
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
