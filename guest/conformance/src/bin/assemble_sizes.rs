//! Final objects of parts of awkward sizes: a backend may have to join small ones and split
//! large ones, at 5 MiB or elsewhere.

use portico_guest_conformance::*;

const MIB: u64 = 1 << 20;

cases! {
    a_byte_before_and_after,
    a_byte_after,
    a_byte_before,
    around_5_mib,
    below_5_mib [needs="large"],
    several_of_5_mib [needs="large"],
    several_of_5_mib_and_a_byte [needs="large"],
    one_large [needs="large"],
    one_large_unplaced [needs="large"],
    many_small,
    many_small_unplaced,
    large_and_small_in_turn [needs="large"],
    small_around_one_large [needs="large"],
    empty_ones_between,
    only_empty_ones,
    large_in_reverse [needs="large"],
    large_of_two_sessions [needs="large"],
    sum_just_above_8_mib [needs="large"],
    wrong_digest_of_large [needs="large"],
    right_digest_of_large [needs="large"],
    large_replayed [needs="large"],
}

type Parts = Vec<(TempPart, Content)>;

fn sum(parts: &Parts) -> Content {
    parts.iter().fold(Content::default(), |whole, (_, content)| whole.then(content))
}

fn keys(parts: &Parts) -> impl Iterator<Item = String> {
    parts.iter().map(|(part, _)| part.temp_key.clone())
}

/// Puts parts of these sizes at consecutive offsets.
fn placed(store: &Store, session: &str, sizes: &[u64]) -> Parts {
    let mut offset = 0;
    let mut parts = Vec::new();
    for (number, &size) in (0..).zip(sizes) {
        let content = pattern(number, size);
        parts.push((put_placed(store, session, number, &content, offset), content));
        offset += size;
    }
    parts
}

fn unplaced(store: &Store, session: &str, sizes: &[u64]) -> Parts {
    let contents = (0..).zip(sizes).map(|(number, &size)| (number, pattern(number, size)));
    contents.map(|(number, content)| (put_part(store, session, number, &content), content)).collect()
}

/// Assembles parts, and checks the whole object and the bytes around each boundary.
fn assemble(store: &Store, parts: &Parts) {
    let whole = sum(parts);
    let object = store.assemble_final("file", keys(parts), FinalOptions::new()).expect("an object");
    keep_object(store, &object, &whole);
    let mut end = 0;
    // Enough ranges to cover each kind.
    for (_, content) in parts.iter().take(12) {
        end += content.size();
        let (from, to) = (end.saturating_sub(1_000), (end + 1_000).min(whole.size()));
        let stream = store.get_final_stream(&object.bucket, &object.key, from..to).expect("a stream");
        whole.slice(from, to).assert_read(stream);
    }
    assert_eq!(store.sessions().next().map(|session| session.expect("a session")), None, "it still has parts");
}

fn assemble_placed(store: &Store, sizes: &[u64]) {
    assemble(store, &placed(store, "session", sizes));
}

fn a_byte_before_and_after(store: &Store) {
    assemble_placed(store, &[1, 5 * MIB, 1]);
}

fn a_byte_after(store: &Store) {
    assemble_placed(store, &[5 * MIB, 1]);
}

fn a_byte_before(store: &Store) {
    assemble(store, &unplaced(store, "session", &[1, 5 * MIB]));
}

fn around_5_mib(store: &Store) {
    for (session, size) in (0..).zip([5 * MIB - 1, 5 * MIB, 5 * MIB + 1]) {
        let (session, seed) = (format!("session-{session}"), session);
        let content = pattern(seed, size);
        let part = put_placed(store, &session, 1, &content, 0);
        let object = store.assemble_final(&session, [part.temp_key], FinalOptions::new()).expect("an object");
        keep_object(store, &object, &content);
    }
}

fn below_5_mib(store: &Store) {
    assemble_placed(store, &[5 * MIB - 1, 5 * MIB - 1, 2, 5 * MIB - 1]);
}

fn several_of_5_mib(store: &Store) {
    assemble_placed(store, &[5 * MIB, 5 * MIB, 5 * MIB]);
}

fn several_of_5_mib_and_a_byte(store: &Store) {
    assemble_placed(store, &[5 * MIB, 5 * MIB + 1, 5 * MIB, 1]);
}

fn one_large(store: &Store) {
    assemble_placed(store, &[17 * MIB + 3]);
}

fn one_large_unplaced(store: &Store) {
    assemble(store, &unplaced(store, "session", &[12 * MIB]));
}

fn many_small(store: &Store) {
    assemble_placed(store, &[20_011; 300]);
}

fn many_small_unplaced(store: &Store) {
    assemble(store, &unplaced(store, "session", &[70_001; 100]));
}

fn large_and_small_in_turn(store: &Store) {
    assemble_placed(store, &[6 * MIB, 100, 6 * MIB, 100_000, 200, 5 * MIB, 300]);
}

fn small_around_one_large(store: &Store) {
    let mut sizes = vec![100_003; 8];
    sizes.push(9 * MIB);
    sizes.extend([100_003; 8]);
    assemble_placed(store, &sizes);
}

fn empty_ones_between(store: &Store) {
    assemble_placed(store, &[0, 5 * MIB, 0, 0, 3, 0, MIB, 0]);
}

fn only_empty_ones(store: &Store) {
    assemble(store, &unplaced(store, "session", &[0, 0, 0]));
}

/// The last part is put first, so that no part can be hashed while it arrives.
fn large_in_reverse(store: &Store) {
    const SIZE: u64 = 5 * MIB + 7;
    let put = |number: u32| {
        let content = pattern(number, SIZE);
        (put_placed(store, "session", number, &content, SIZE * u64::from(number)), content)
    };
    let mut parts: Parts = (0..3).rev().map(put).collect();
    parts.reverse();
    assemble(store, &parts);
}

fn large_of_two_sessions(store: &Store) {
    let mut parts = placed(store, "one", &[5 * MIB, 1_000]);
    parts.extend(placed(store, "other", &[5 * MIB, 1_000]));
    assemble(store, &parts);
}

fn sum_just_above_8_mib(store: &Store) {
    assemble_placed(store, &[4 * MIB, 4 * MIB, 1]);
}

fn wrong_digest_of_large(store: &Store) {
    let parts = placed(store, "session", &[5 * MIB, 5 * MIB, 1_000]);
    let options = FinalOptions::new().sha256(Digest::new([7; 32]));
    refused(store.assemble_final("file", keys(&parts), options), Error::DigestMismatch);
    assert_free(store, "file");
    assert_parts(store, "session", parts.iter().map(|(part, _)| part));
    assemble(store, &parts);
}

fn right_digest_of_large(store: &Store) {
    let parts = unplaced(store, "session", &[5 * MIB, 6 * MIB, 1_000]);
    let whole = sum(&parts);
    let options = FinalOptions::new().sha256(whole.sha256()).size(whole.size());
    let object = store.assemble_final("file", keys(&parts), options).expect("an object");
    keep_object(store, &object, &whole);
}

/// The same content in other parts is the same object; other content is a conflict.
fn large_replayed(store: &Store) {
    let whole = pattern(1, 11 * MIB);
    let object = put(store, "file", &whole);
    let mut parts = Vec::new();
    for (number, cut) in (0..).zip([(0, 5 * MIB), (5 * MIB, 5 * MIB + 1), (5 * MIB + 1, 11 * MIB)]) {
        let piece = whole.slice(cut.0, cut.1);
        let mut writer = store.create_temp_part("session", number, PartOptions::new()).expect("a writer");
        let stream = store.get_final_stream(&object.bucket, &object.key, cut.0..cut.1).expect("a stream");
        assert_eq!(writer.pull(stream.into_inner()), Ok(piece.size()));
        parts.push((writer.finish(Expected::default()).expect("a part"), piece));
    }
    let options = || FinalOptions::new().same_content_ok();
    let more = (put_part(store, "session", 9, &pattern(9, 1)), pattern(9, 1));
    let longer = keys(&parts).chain([more.0.temp_key.clone()]).collect::<Vec<_>>();
    refused(store.assemble_final("file", longer, options()), Error::Conflict);
    let replay = store.assemble_final("file", keys(&parts), options()).expect("a replay");
    assert!(replay.replayed);
    assert_eq!(StoredObject { replayed: false, ..replay }, object);
    assert_parts(store, "session", [&more.0]);
    keep_part(store, &more.0, &more.1);
    keep_object(store, &object, &whole);
}
