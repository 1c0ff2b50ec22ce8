//! Interrupts. A guest runs one operation at a time, so one instance puts and another interrupts.

use portico_guest_conformance::*;
use std::io::Write;

cases! {
    nothing_runs,
    an_idle_writer,
    a_writer_with_bytes,
    writers_after_it,
    other_sessions_and_finals_go_on,
    a_running_put [instances=2],
    a_running_placed_put [instances=2],
    a_running_pull [instances=2],
    a_running_put_by_deletion_of_the_session [instances=2],
    a_running_put_by_assembly [instances=2],
}

fn nothing_runs(store: &Store) {
    let content = pattern(1, 100);
    let part = put_part(store, "session", 1, &content);
    store.interrupt("session").expect("nothing");
    store.interrupt("another").expect("nothing");
    assert_parts(store, "session", [&part]);
    keep_part(store, &part, &content);
}

fn an_idle_writer(store: &Store) {
    for options in [PartOptions::new(), PartOptions::new().size(0), PartOptions::new().size(10).offset(0)] {
        let writer = store.create_temp_part("session", 1, options.clone()).expect("a writer");
        store.interrupt("session").expect("an end");
        match writer.finish(Expected::default()) {
            // The size may be checked before the interrupt is noticed.
            Err(Error::SizeMismatch { expected: 10, actual: 0 }) if options.expected.size == Some(10) => {}
            finish => refused(finish, Error::Interrupted { received: 0 }),
        }
        assert_parts(store, "session", []);
    }
}

fn a_writer_with_bytes(store: &Store) {
    let content = pattern(1, 600_000);
    for options in [PartOptions::new(), PartOptions::new().size(600_000).offset(0)] {
        let mut writer = store.create_temp_part("session", 1, options.clone()).expect("a writer");
        writer.pull(content.source()).expect("a pull");
        store.interrupt("session").expect("an end");
        refused(writer.finish(Expected::default()), Error::Interrupted { received: 600_000 });

        let mut writer = store.create_temp_part("session", 1, options.clone()).expect("a writer");
        writer.pull(pattern(2, 1_000).source()).expect("a pull");
        store.interrupt("session").expect("an end");
        refused(writer.pull(endless(3)), Error::Interrupted { received: 1_000 });
        refused(writer.finish(Expected::default()), Error::Interrupted { received: 1_000 });

        let mut writer = store.create_temp_part("session", 1, options).expect("a writer");
        let mut sink = writer.sink().expect("a sink");
        sink.write_all(&[1; 1_000]).expect("a write");
        sink.flush().expect("a flush");
        store.interrupt("session").expect("an end");
        // A write returns before its bytes are stored, so the sink may miss the failure; `finish` reports it.
        let written = sink.write_all(&vec![2; 599_000]).and_then(|()| sink.flush());
        if written.is_err() {
            let failure = stream_error(written);
            assert!(matches!(failure, Error::Interrupted { received: 1_000.. }), "{failure:?}");
        }
        drop(sink);
        let finish = writer.finish(Expected::default());
        assert!(matches!(finish, Err(Error::Interrupted { received: 1_000.. })), "{finish:?}");
        assert_parts(store, "session", []);
    }
}

fn writers_after_it(store: &Store) {
    let content = pattern(1, 100);
    store.interrupt("session").expect("an end");
    let mut writer = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    writer.pull(content.source()).expect("a pull");
    let part = writer.finish(Expected::default()).expect("a part");
    keep_part(store, &part, &content);
}

fn other_sessions_and_finals_go_on(store: &Store) {
    let content = pattern(1, 100);
    let mut part = store.create_temp_part("other", 1, PartOptions::new()).expect("a writer");
    let mut object = store.create_final("session", FinalOptions::new()).expect("a writer");
    part.pull(content.source()).expect("a pull");
    object.pull(content.source()).expect("a pull");
    let scoped = store.scope("scope").expect("a scope");
    let mut elsewhere = scoped.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
    elsewhere.pull(content.source()).expect("a pull");
    store.interrupt("session").expect("an end");
    assert_eq!(store.delete_session_parts("session"), Ok(0));
    keep_part(store, &part.finish(Expected::default()).expect("a part"), &content);
    keep_object(store, &object.finish(Expected::default()).expect("an object"), &content);
    let elsewhere = elsewhere.finish(Expected::default()).expect("a part");
    fixture::keep_part(&["scope".to_owned()], &elsewhere.temp_key, content.pieces());
}

/// The first instance puts content that stalls, and must be interrupted. The second interrupts.
fn stalled(store: &Store, options: PartOptions, interrupt: impl FnOnce(&Store)) {
    const SIZE: u64 = 1_300_000;
    match fixture::instance() {
        0 => {
            let put = store.put_temp_part("session", 1, pattern(1, SIZE).then_silence(), options);
            refused(put, Error::Interrupted { received: SIZE });
            fixture::report("interrupted");
            fixture::meet();
            // The number is free again.
            let content = pattern(2, 100);
            let part = put_part(store, "session", 1, &content);
            keep_part(store, &part, &content);
        }
        _ => {
            fixture::await_end(1);
            interrupt(store);
            fixture::meet();
            assert_eq!(fixture::reports(), ["interrupted"]);
        }
    }
}

fn a_running_put(store: &Store) {
    stalled(store, PartOptions::new(), |store| store.interrupt("session").expect("an end"));
}

fn a_running_placed_put(store: &Store) {
    let options = PartOptions::new().size(2_000_000).offset(0);
    stalled(store, options, |store| store.interrupt("session").expect("an end"));
}

fn a_running_pull(store: &Store) {
    match fixture::instance() {
        0 => {
            let mut writer = store.create_temp_part("session", 1, PartOptions::new()).expect("a writer");
            assert_eq!(writer.pull(pattern(1, 1_000).source()), Ok(1_000));
            refused(writer.pull(pattern(2, 70_000).then_silence()), Error::Interrupted { received: 71_000 });
            refused(writer.finish(Expected::default()), Error::Interrupted { received: 71_000 });
        }
        _ => {
            fixture::await_end(2);
            store.interrupt("session").expect("an end");
        }
    }
}

fn a_running_put_by_deletion_of_the_session(store: &Store) {
    let content = pattern(9, 1_000);
    stalled(store, PartOptions::new(), |store| {
        put_part(store, "session", 7, &content);
        assert_eq!(store.delete_session_parts("session"), Ok(1));
    });
}

fn a_running_put_by_assembly(store: &Store) {
    let content = pattern(9, 1_000);
    let options = PartOptions::new().size(2_000_000).offset(1_000);
    stalled(store, options, |store| {
        let part = put_placed(store, "session", 7, &content, 0);
        let object = store.assemble_final("file", [part.temp_key], FinalOptions::new()).expect("an object");
        keep_object(store, &object, &content);
    });
}
