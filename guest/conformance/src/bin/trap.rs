//! Guests that end badly: by a trap of their own, by misuse of a handle, or because their host drops them. Their
//! operations in flight leave nothing.

use portico_guest::bindings::portico::storage::storage as wit;
use portico_guest_conformance::fixture::Outcome;
use portico_guest_conformance::*;
use std::io::{Read, Write};

cases! {
    before_anything,
    with_a_writer_open,
    with_a_sink_open,
    after_a_partial_read,
    after_a_put,
    exits_with_a_writer_open,
    finish_with_a_sink,
    pull_with_a_sink,
    sink_with_a_sink,
    writer_dropped_before_its_sink,
    write_beyond_the_permit,
    killed_in_a_put [instances=2],
    killed_in_a_placed_put [instances=2],
    killed_in_a_pull [instances=2],
    killed_in_a_replay [instances=2],
    killed_with_everything_open [instances=2],
}

const NOTHING: wit::Expected = wit::Expected { size: None, sha256: None, others: Vec::new() };

/// A trap of the guest itself.
fn trap() -> ! {
    fixture::ends(Outcome::GuestTrap);
    std::process::abort();
}

fn raw_writer() -> wit::Writer {
    let options = wit::FinalOptions {
        expected: NOTHING,
        if_exists: wit::IfExists::Fail,
        content_type: None,
        metadata: Vec::new(),
    };
    let writer = wit::open().create_final("file", &options).expect("a writer");
    writer.pull(raw(pattern(1, 100_000).source())).expect("a pull");
    writer
}

fn writers(store: &Store) -> (Writer<StoredObject>, Writer<TempPart>, Writer<TempPart>) {
    let object = store.create_final("file", FinalOptions::new()).expect("a writer");
    let part = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    let placed = PartOptions::new().size(2 << 20).offset(0);
    let placed = store.create_temp_part("session", 2, placed).expect("a writer");
    (object, part, placed)
}

fn before_anything(_: &Store) {
    trap();
}

fn with_a_writer_open(store: &Store) {
    let (mut object, mut part, mut placed) = writers(store);
    object.pull(pattern(1, 1_500_000).source()).expect("a pull");
    part.pull(pattern(2, 1_500_000).source()).expect("a pull");
    placed.pull(pattern(3, 1_500_000).source()).expect("a pull");
    trap();
}

fn with_a_sink_open(store: &Store) {
    let (mut object, mut part, mut placed) = writers(store);
    let mut sinks = [object.sink(), part.sink(), placed.sink()].map(|sink| sink.expect("a sink"));
    for sink in &mut sinks {
        pattern(1, 1_500_000).write_to(sink);
    }
    sinks[0].flush().expect("a flush");
    trap();
}

fn after_a_partial_read(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    let part = put_placed(store, "session", 1, &content, 0);
    keep_object(store, &object, &content);
    keep_part(store, &part, &content);
    let mut bytes = [0; 1_000];
    read(store, &object).read_exact(&mut bytes).expect("bytes");
    let mut stream = read_part(store, &part);
    stream.read_exact(&mut bytes).expect("bytes");
    trap();
}

/// Acknowledged content stays.
fn after_a_put(store: &Store) {
    let content = pattern(1, 600_000);
    keep_object(store, &put(store, "file", &content), &content);
    keep_part(store, &put_part(store, "session", 1, &content), &content);
    store.create_record("name", b"value").expect("a record");
    trap();
}

fn exits_with_a_writer_open(store: &Store) {
    let (mut object, _part, mut placed) = writers(store);
    object.pull(pattern(1, 1_500_000).source()).expect("a pull");
    pattern(1, 1_000).write_to(&mut placed.sink().expect("a sink"));
    fixture::ends(Outcome::Exit);
    std::process::exit(0);
}

fn finish_with_a_sink(_: &Store) {
    let writer = raw_writer();
    let _sink = writer.sink().expect("a sink");
    fixture::ends(Outcome::HostTrap);
    let _ = wit::Writer::finish(writer, &NOTHING);
}

fn pull_with_a_sink(_: &Store) {
    let writer = raw_writer();
    let _sink = writer.sink().expect("a sink");
    fixture::ends(Outcome::HostTrap);
    let _ = writer.pull(raw(pattern(2, 10).source()));
}

fn sink_with_a_sink(_: &Store) {
    let writer = raw_writer();
    let _sink = writer.sink().expect("a sink");
    fixture::ends(Outcome::HostTrap);
    let _ = writer.sink();
}

fn writer_dropped_before_its_sink(_: &Store) {
    let writer = raw_writer();
    let _sink = writer.sink().expect("a sink");
    fixture::ends(Outcome::HostTrap);
    drop(writer);
}

fn write_beyond_the_permit(_: &Store) {
    let writer = raw_writer();
    let sink = writer.sink().expect("a sink");
    sink.subscribe().block();
    let permit = usize::try_from(sink.check_write().expect("a permit")).expect("a permit that fits");
    let bytes = vec![0; permit + 1];
    fixture::ends(Outcome::HostTrap);
    let _ = sink.write(&bytes);
}

/// The first instance runs an operation that stalls on a source of seed 1. The second kills the first and finds no
/// trace.
fn killed(store: &Store, act: impl FnOnce(&Store)) {
    match fixture::instance() {
        0 => {
            fixture::ends(Outcome::Killed);
            act(store);
        }
        _ => {
            fixture::await_end(1);
            fixture::kill(0);
            assert_free(store, "file");
            assert_parts(store, "session", []);
            // The names are free.
            let content = pattern(2, 100);
            keep_object(store, &put(store, "file", &content), &content);
            keep_part(store, &put_placed(store, "session", 1, &content, 0), &content);
        }
    }
}

fn killed_in_a_put(store: &Store) {
    killed(store, |store| {
        let _ = store.put_final("file", pattern(1, 1_500_000).then_silence(), FinalOptions::new());
    });
}

fn killed_in_a_placed_put(store: &Store) {
    killed(store, |store| {
        let options = PartOptions::new().size(2_000_000).offset(0);
        let _ = store.put_temp_part("session", 1, pattern(1, 1_500_000).then_silence(), options);
    });
}

fn killed_in_a_pull(store: &Store) {
    killed(store, |store| {
        let (mut object, mut part, _placed) = writers(store);
        pattern(9, 100_000).write_to(&mut part.sink().expect("a sink"));
        let _ = object.pull(pattern(1, 1_500_000).then_silence());
    });
}

fn killed_in_a_replay(store: &Store) {
    let content = pattern(7, 1_500_000);
    match fixture::instance() {
        0 => {
            let object = put(store, "file", &content);
            keep_object(store, &object, &content);
            fixture::ends(Outcome::Killed);
            let _ = store.put_final("file", pattern(1, 10).then_silence(), FinalOptions::new().same_content_ok());
        }
        _ => {
            fixture::await_end(1);
            fixture::kill(0);
            let again = store.put_final("file", content.source(), FinalOptions::new().same_content_ok());
            assert!(again.expect("a replay").replayed);
        }
    }
}

fn killed_with_everything_open(store: &Store) {
    killed(store, |store| {
        let narrow = store.scope("scope").expect("a scope");
        let content = pattern(5, 600_000);
        let object = put(&narrow, "file", &content);
        keep_object(&narrow, &object, &content);
        let mut streams: Vec<ReadStream> = (0..8).map(|_| read(&narrow, &object)).collect();
        streams[0].read_exact(&mut [0; 1_000]).expect("bytes");
        let (mut object, mut part, mut placed) = writers(store);
        let mut sinks = [object.sink(), placed.sink()].map(|sink| sink.expect("a sink"));
        for sink in &mut sinks {
            pattern(9, 600_000).write_to(sink);
        }
        let _ = part.pull(pattern(1, 600_000).then_silence());
    });
}
