//! Parts that keep what had arrived when their source fails, stalls, or is interrupted.

use portico_guest_conformance::*;

cases! {
    nothing_had_arrived,
    the_source_fails,
    the_whole_source,
    no_digest_can_be_expected,
    ended_before,
    ended_while_the_source_stalls [instances=2],
    too_long,
    longer_than_any_object [needs="small-limit"],
    a_prefix_is_compared_with_the_part_of_its_number,
    a_writer_keeps_none,
    assembled_prefixes,
    prefixes_of_several_pieces [needs="large"],
    interrupted_before_any_byte [instances=2],
    interrupted [instances=2],
    interrupted_at_an_offset [instances=2],
    interrupted_behind_a_part [instances=2],
    its_session_is_deleted [instances=2],
    its_session_is_assembled [instances=2],
    killed [instances=2],
}

const LARGE: u64 = 3 << 20;

/// Options of a part of up to [`LARGE`] bytes, by what the caller knows of it.
fn options() -> [PartOptions; 4] {
    let keep = PartOptions::new().keep_prefix();
    [keep.clone(), keep.clone().size(LARGE), keep.clone().offset(1_000), keep.size(LARGE).offset(1_000)]
}

fn nothing_had_arrived(store: &Store) {
    for options in options() {
        let put = store.put_temp_part("session", 1, pattern(1, 0).then_failure(), options);
        refused(put, Error::Interrupted { received: 0 });
        assert_parts(store, "session", []);
        assert_eq!(store.sessions().count(), 0);
    }
}

/// Checks the receipt of a prefix, the listing and the bytes of its part, and declares that the part stays.
#[track_caller]
fn keep(store: &Store, session: &str, part: &TempPart, content: &Content, options: &PartOptions) {
    let expected = TempPart {
        temp_key: part.temp_key.clone(),
        part_number: part.part_number,
        size: content.size(),
        sha256: options.want_sha256.then(|| content.sha256()),
        offset: options.offset,
        replayed: false,
        is_prefix: true,
    };
    assert_eq!(*part, expected, "{options:?}");
    let there = store.stat_temp_part(&part.temp_key).expect("a part");
    assert_eq!(there, TempPart { is_prefix: false, ..expected });
    assert!(parts_of(store, session).iter().any(|listed| listed.temp_key == part.temp_key));
    keep_part(store, part, content);
}

fn the_source_fails(store: &Store) {
    for (at, options) in (0..).zip(options()) {
        let session = format!("session-{at}");
        for (number, size) in (0..).zip([1, 65_537, 512 << 10, (2 << 20) + 3, LARGE]) {
            let options = if size == 65_537 { options.clone().want_sha256() } else { options.clone() };
            let content = pattern(number, size);
            let part =
                store.put_temp_part(&session, number, content.then_failure(), options.clone()).expect("a prefix");
            keep(store, &session, &part, &content, &options);
        }
    }
}

fn the_whole_source(store: &Store) {
    let content = pattern(1, LARGE);
    for (number, options) in (0..).zip(options()) {
        let part = store.put_temp_part("session", number, content.source(), options).expect("a part");
        assert_eq!((part.size, part.is_prefix), (LARGE, false));
        keep_part(store, &part, &content);
    }
    // The size is compared with a source that ended, and with no other.
    let short = PartOptions::new().keep_prefix().size(LARGE + 1);
    let error = Error::SizeMismatch { expected: LARGE + 1, actual: LARGE };
    refused(store.put_temp_part("session", 9, content.source(), short), error);
    assert_eq!(parts_of(store, "session").len(), 4);
}

fn no_digest_can_be_expected(store: &Store) {
    let content = pattern(1, 1_000);
    let keep = PartOptions::new().keep_prefix();
    for options in [keep.clone().sha256(content.sha256()), keep.digest(DigestAlgorithm::Crc32c, [0; 4])] {
        refused_argument(store.put_temp_part("session", 1, content.source(), options), Argument::Expected);
        assert_parts(store, "session", []);
    }
}

fn ended_before(store: &Store) {
    let content = pattern(1, 1_000);
    let object = put(store, "made", &content);
    assert_eq!(store.void_final("void", "reason"), Ok(true));
    for file in ["made", "void"] {
        let options = PartOptions::new().keep_prefix().unless_final(file);
        refused(store.put_temp_part("session", 1, pattern(2, 1_000).then_failure(), options), Error::Ended);
        assert_parts(store, "session", []);
    }
    keep_object(store, &object, &content);
}

fn ended_while_the_source_stalls(store: &Store) {
    match fixture::instance() {
        0 => {
            let options = PartOptions::new().keep_prefix().unless_final("file");
            refused(store.put_temp_part("session", 1, pattern(1, 100_000).then_silence(), options), Error::Ended);
            assert_parts(store, "session", []);
        }
        _ => {
            fixture::await_end(1);
            assert_eq!(store.void_final("file", "reason"), Ok(true));
            store.interrupt("session").expect("an end");
        }
    }
}

fn too_long(store: &Store) {
    let keep = PartOptions::new().keep_prefix();
    for options in [keep.clone().size(999), keep.clone().size(999).offset(0)] {
        let error = Error::SizeMismatch { expected: 999, actual: 1_000 };
        refused(store.put_temp_part("session", 1, pattern(1, 5_000).source(), options.clone()), error.clone());
        refused(store.put_temp_part("session", 1, pattern(1, 5_000).then_failure(), options), error);
        assert_parts(store, "session", []);
    }
    for options in [keep.clone().limit(999), keep.limit(999).offset(0)] {
        refused(store.put_temp_part("session", 1, endless(1), options), Error::TooLarge { limit: 999 });
        assert_parts(store, "session", []);
    }
}

fn longer_than_any_object(store: &Store) {
    let limit = store.info().max_object_size;
    let keep = PartOptions::new().keep_prefix();
    refused(store.put_temp_part("session", 1, endless(1), keep.clone()), Error::TooLarge { limit });
    let sized = keep.size(limit + 1);
    refused(store.put_temp_part("session", 1, pattern(1, 10).then_failure(), sized), Error::TooLarge { limit });
    assert_parts(store, "session", []);
}

fn a_prefix_is_compared_with_the_part_of_its_number(store: &Store) {
    let content = pattern(1, 100_000);
    let part = put_part(store, "session", 1, &content);
    let keep = PartOptions::new().keep_prefix();
    refused(store.put_temp_part("session", 1, content.then_failure(), keep.clone()), Error::Conflict);
    let again = keep.same_content_ok();
    let replayed = store.put_temp_part("session", 1, content.then_failure(), again.clone()).expect("a replay");
    assert_eq!(replayed, TempPart { replayed: true, is_prefix: true, ..part.clone() });
    for other in [pattern(1, 99_999), pattern(2, 100_000), pattern(1, 100_001)] {
        refused(store.put_temp_part("session", 1, other.then_failure(), again.clone()), Error::Conflict);
    }
    keep_part(store, &part, &content);
}

fn a_writer_keeps_none(store: &Store) {
    let mut writer = store.create_temp_part("session", 1, PartOptions::new().keep_prefix()).expect("a writer");
    let error = Error::Interrupted { received: 1_000 };
    refused(writer.pull(pattern(1, 1_000).then_failure()), error.clone());
    refused(writer.finish(Expected::default()), error);
    assert_parts(store, "session", []);
}

/// Appends that break off, each continued by the next.
fn append(store: &Store, session: &str, sizes: &[u64]) -> (Vec<String>, Content) {
    let whole: u64 = sizes.iter().sum();
    let (mut keys, mut content) = (Vec::new(), Content::default());
    for (number, size) in (0..).zip(sizes) {
        let (piece, offset) = (pattern(number, *size), content.size());
        let mut options = PartOptions::new().keep_prefix().size(whole - offset).offset(offset);
        options.previous = keys.last().cloned();
        let part = store.put_temp_part(session, number, piece.then_failure(), options.clone()).expect("a prefix");
        assert_eq!((part.size, part.offset, part.is_prefix), (*size, Some(offset), true));
        keys.push(part.temp_key);
        content = content.then(&piece);
    }
    (keys, content)
}

fn assembled_prefixes(store: &Store) {
    let (keys, content) = append(store, "session", &[70_000, 1, 512 << 10, 600_000, 3]);
    let options = FinalOptions::new().sha256(content.sha256()).size(content.size());
    keep_object(store, &store.assemble_final("file", keys, options).expect("an object"), &content);
    assert_parts(store, "session", []);
}

fn prefixes_of_several_pieces(store: &Store) {
    let (keys, content) = append(store, "session", &[(11 << 20) + 5, 5 << 20, (5 << 20) + 1]);
    let options = FinalOptions::new().sha256(content.sha256());
    keep_object(store, &store.assemble_final("file", keys, options).expect("an object"), &content);
    assert_parts(store, "session", []);
}

fn interrupted_before_any_byte(store: &Store) {
    match fixture::instance() {
        0 => {
            let put = store.put_temp_part("session", 1, pattern(1, 0).then_silence(), PartOptions::new().keep_prefix());
            refused(put, Error::Interrupted { received: 0 });
        }
        _ => {
            fixture::await_end(1);
            store.interrupt("session").expect("an end");
            assert_parts(store, "session", []);
        }
    }
}

/// The first instance puts content that stalls. When the interrupt of the second returns, the prefix is a part.
fn stalled(store: &Store, options: PartOptions) {
    let content = pattern(1, 1_300_000);
    match fixture::instance() {
        0 => {
            let part = store.put_temp_part("session", 5, content.then_silence(), options.clone()).expect("a prefix");
            keep(store, "session", &part, &content, &options);
        }
        _ => {
            fixture::await_end(1);
            store.interrupt("session").expect("an end");
            let parts = parts_of(store, "session");
            let [.., part] = parts.as_slice() else { panic!("no part after the interrupt") };
            assert_eq!((part.part_number, part.size), (5, content.size()));
        }
    }
}

fn interrupted(store: &Store) {
    stalled(store, PartOptions::new().keep_prefix());
}

fn interrupted_at_an_offset(store: &Store) {
    stalled(store, PartOptions::new().keep_prefix().size(2_000_000).offset(300).want_sha256());
}

fn interrupted_behind_a_part(store: &Store) {
    let first = pattern(9, 300);
    if fixture::instance() == 0 {
        let part = put_placed(store, "session", 1, &first, 0);
        keep_part(store, &part, &first);
        stalled(store, PartOptions::new().keep_prefix().offset(300).previous(part.temp_key));
    } else {
        stalled(store, PartOptions::new());
    }
}

/// The first instance puts content that stalls, until another call than `interrupt` ends the put.
fn ended_otherwise(store: &Store, end: impl FnOnce()) {
    match fixture::instance() {
        0 => {
            let options = PartOptions::new().keep_prefix().size(2_000_000).offset(1_000);
            let put = store.put_temp_part("session", 7, pattern(1, 100_000).then_silence(), options);
            refused(put, Error::Interrupted { received: 100_000 });
        }
        _ => {
            fixture::await_end(1);
            end();
            assert_parts(store, "session", []);
        }
    }
}

fn its_session_is_deleted(store: &Store) {
    ended_otherwise(store, || {
        put_part(store, "session", 1, &pattern(2, 1_000));
        assert_eq!(store.delete_session_parts("session"), Ok(1));
    });
}

fn its_session_is_assembled(store: &Store) {
    ended_otherwise(store, || {
        let content = pattern(2, 1_000);
        let part = put_placed(store, "session", 1, &content, 0);
        let object = store.assemble_final("file", [part.temp_key], FinalOptions::new()).expect("an object");
        keep_object(store, &object, &content);
    });
}

/// A guest that is killed gets no answer, so nothing of its put is kept.
fn killed(store: &Store) {
    match fixture::instance() {
        0 => {
            fixture::ends(fixture::Outcome::Killed);
            let options = PartOptions::new().keep_prefix();
            let _ = store.put_temp_part("session", 1, pattern(1, 1_300_000).then_silence(), options);
            panic!("it goes on");
        }
        _ => {
            fixture::await_end(1);
            fixture::kill(0);
            store.interrupt("session").expect("an end");
            assert_parts(store, "session", []);
        }
    }
}
