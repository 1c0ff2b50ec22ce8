//! Content around the sizes at which a backend may split it: 5 MiB, 8 MiB, and well beyond.

use portico_guest_conformance::*;
use std::io::Write;

const MIB: u64 = 1 << 20;

/// Content of at least three pieces on every backend.
const MANY: u64 = 12 * MIB;

cases! {
    finals_around_5_mib_of_known_size,
    finals_around_8_mib [needs="large"],
    finals_around_8_mib_of_known_size [needs="large"],
    finals_of_16_mib_and_a_byte [needs="large"],
    finals_of_25_mib [needs="large"],
    finals_at_once [instances=3, needs="large"],
    parts_around_5_mib,
    parts_around_5_mib_of_known_size,
    parts_around_8_mib [needs="large"],
    parts_around_8_mib_placed [needs="large"],
    parts_of_25_mib [needs="large"],
    parts_at_once [instances=3, needs="large"],
    a_writer [needs="large"],
    a_writer_dropped [needs="large"],
    source_fails [needs="large"],
    expectations_fail [needs="large"],
    killed [instances=2, needs="large"],
    interrupted [instances=2, needs="large"],
    final_replayed [needs="large"],
    part_replayed [needs="large"],
}

/// Ranges that begin or end next to a possible end of a piece.
fn ranges(size: u64) -> Vec<(u64, u64)> {
    let mut ranges = vec![(0, 1), (size - 1, size), (size, size)];
    for piece in [5 * MIB, 8 * MIB, 10 * MIB, 16 * MIB].into_iter().filter(|piece| *piece < size) {
        ranges.extend([(piece - 1, piece), (piece, piece + 1), (piece - 70_000, (piece + 70_000).min(size))]);
    }
    if size > 10 * MIB {
        ranges.push((5 * MIB - 3, 10 * MIB + 3));
    }
    ranges
}

/// Puts an object, reads it whole and by ranges, and declares that it stays.
fn put_object(store: &Store, size: u64, knows_size: bool) {
    let content = pattern(size as u32, size);
    let options = if knows_size { FinalOptions::new().size(size) } else { FinalOptions::new() };
    let object = store.put_final(&format!("{size}-{knows_size}"), content.source(), options).expect("a put");
    keep_object(store, &object, &content);
    for (start, end) in ranges(size) {
        let stream = store.get_final_stream(&object.bucket, &object.key, start..end).expect("a stream");
        content.slice(start, end).assert_read(stream);
    }
}

/// Puts a part, reads it whole and by ranges, and declares that it stays.
fn put_number(store: &Store, number: u32, size: u64, options: PartOptions) {
    let content = pattern(size as u32, size);
    let part = store.put_temp_part("session", number, content.source(), options).expect("a put");
    assert_eq!((part.part_number, part.size, part.replayed), (number, size, false));
    keep_part(store, &part, &content);
    for (start, end) in ranges(size) {
        let stream = store.get_temp_part_stream(&part.temp_key, start..end).expect("a stream");
        content.slice(start, end).assert_read(stream);
    }
}

fn around(piece: u64) -> [u64; 3] {
    [piece - 1, piece, piece + 1]
}

fn finals_around_5_mib_of_known_size(store: &Store) {
    around(5 * MIB).into_iter().for_each(|size| put_object(store, size, true));
}

fn finals_around_8_mib(store: &Store) {
    around(8 * MIB).into_iter().for_each(|size| put_object(store, size, false));
}

fn finals_around_8_mib_of_known_size(store: &Store) {
    around(8 * MIB).into_iter().for_each(|size| put_object(store, size, true));
}

fn finals_of_16_mib_and_a_byte(store: &Store) {
    [false, true].into_iter().for_each(|knows_size| put_object(store, 16 * MIB + 1, knows_size));
}

fn finals_of_25_mib(store: &Store) {
    [false, true].into_iter().for_each(|knows_size| put_object(store, 25 * MIB, knows_size));
}

fn finals_at_once(store: &Store) {
    fixture::meet();
    put_object(store, MANY + u64::from(fixture::instance()), fixture::instance() == 0);
}

fn parts_around_5_mib(store: &Store) {
    for (number, size) in (0..).zip(around(5 * MIB)) {
        put_number(store, number, size, PartOptions::new());
    }
}

fn parts_around_5_mib_of_known_size(store: &Store) {
    for (number, size) in (0..).zip(around(5 * MIB)) {
        put_number(store, number, size, PartOptions::new().size(size));
    }
}

fn parts_around_8_mib(store: &Store) {
    for (number, size) in (0..).zip(around(8 * MIB)) {
        put_number(store, number, size, PartOptions::new());
    }
}

fn parts_around_8_mib_placed(store: &Store) {
    let mut offset = 0;
    for (number, size) in (0..).zip(around(8 * MIB)) {
        put_number(store, number, size, PartOptions::new().size(size).offset(offset));
        offset += size;
    }
}

fn parts_of_25_mib(store: &Store) {
    put_number(store, 1, 25 * MIB, PartOptions::new());
    put_number(store, 2, 25 * MIB, PartOptions::new().size(25 * MIB).offset(25 * MIB));
}

fn parts_at_once(store: &Store) {
    fixture::meet();
    let number = fixture::instance();
    put_number(store, number, MANY + u64::from(number), PartOptions::new());
}

/// Content that the guest writes and content that the host pulls, alternating.
fn a_writer(store: &Store) {
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    let mut whole = Content::default();
    for (seed, size) in [(1, 3 * MIB), (2, 5 * MIB - 1), (3, 2), (4, 4 * MIB)] {
        let content = pattern(seed, size);
        if seed % 2 == 1 {
            let mut sink = writer.sink().expect("a sink");
            content.write_to(&mut sink);
            sink.flush().expect("a flush");
        } else {
            assert_eq!(writer.pull(content.source()), Ok(size));
        }
        whole = whole.then(&content);
    }
    let object =
        writer.finish(Expected { size: Some(whole.size()), sha256: None, others: Vec::new() }).expect("an object");
    keep_object(store, &object, &whole);
}

fn a_writer_dropped(store: &Store) {
    let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
    writer.pull(pattern(1, MANY).source()).expect("a pull");
    drop(writer);
    let mut writer = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    writer.pull(pattern(2, MANY).source()).expect("a pull");
    drop(writer);
    assert_free(store, "file");
    assert_parts(store, "session", []);
}

fn source_fails(store: &Store) {
    for received in [5 * MIB, 8 * MIB, MANY + 1] {
        let content = pattern(received as u32, received);
        let error = Error::Interrupted { received };
        refused(store.put_final("file", content.then_failure(), FinalOptions::new()), error.clone());
        refused(store.put_temp_part("session", 1, content.then_failure(), PartOptions::new()), error.clone());
        let options = FinalOptions::new().size(received);
        refused(store.put_final("file", content.then_failure(), options), error);
    }
    assert_free(store, "file");
    assert_parts(store, "session", []);
}

fn expectations_fail(store: &Store) {
    let content = pattern(1, MANY);
    let put = |options| store.put_final("file", content.source(), options);
    let short = Error::SizeMismatch { expected: MANY + 1, actual: MANY };
    let long = Error::SizeMismatch { expected: MANY - 1, actual: MANY };
    refused(put(FinalOptions::new().size(MANY + 1)), short.clone());
    refused(put(FinalOptions::new().size(MANY - 1)), long.clone());
    refused(put(FinalOptions::new().sha256(Digest::new([7; 32]))), Error::DigestMismatch);
    let put = |options| store.put_temp_part("session", 1, content.source(), options);
    refused(put(PartOptions::new().size(MANY + 1)), short);
    refused(put(PartOptions::new().size(MANY - 1)), long);
    refused(put(PartOptions::new().sha256(Digest::new([7; 32]))), Error::DigestMismatch);
    assert_free(store, "file");
    assert_parts(store, "session", []);
    let object = store.put_final("file", content.source(), FinalOptions::new().sha256(content.sha256()));
    keep_object(store, &object.expect("an object"), &content);
}

/// The first instance is killed during its put.
fn killed(store: &Store) {
    if fixture::instance() == 0 {
        fixture::ends(fixture::Outcome::Killed);
        let _ = store.put_final("file", pattern(1, MANY).then_silence(), FinalOptions::new());
        panic!("it goes on");
    }
    fixture::await_end(1);
    fixture::kill(0);
    fixture::await_drop(1);
    assert_free(store, "file");
    let content = pattern(2, 6 * MIB);
    keep_object(store, &put(store, "file", &content), &content);
}

fn interrupted(store: &Store) {
    if fixture::instance() == 0 {
        let put = store.put_temp_part("session", 1, pattern(1, MANY).then_silence(), PartOptions::new());
        refused(put, Error::Interrupted { received: MANY });
    } else {
        fixture::await_end(1);
        store.interrupt("session").expect("an end");
        assert_parts(store, "session", []);
    }
}

fn final_replayed(store: &Store) {
    let content = pattern(1, MANY);
    let object = put(store, "file", &content);
    let again = |content: &Content| store.put_final("file", content.source(), FinalOptions::new().same_content_ok());
    let replay = again(&content).expect("a replay");
    assert!(replay.replayed);
    assert_eq!(StoredObject { replayed: false, ..replay }, object);
    refused(again(&pattern(1, MANY - 1)), Error::Conflict);
    refused(again(&pattern(2, MANY)), Error::Conflict);
    keep_object(store, &object, &content);
}

fn part_replayed(store: &Store) {
    let content = pattern(1, MANY);
    let part = put_part(store, "session", 1, &content);
    let again =
        |content: &Content| store.put_temp_part("session", 1, content.source(), PartOptions::new().same_content_ok());
    let replay = again(&content).expect("a replay");
    assert!(replay.replayed);
    assert_eq!(TempPart { replayed: false, ..replay }, part);
    refused(again(&pattern(1, MANY - 1)), Error::Conflict);
    refused(again(&pattern(2, MANY)), Error::Conflict);
    keep_part(store, &part, &content);
}
