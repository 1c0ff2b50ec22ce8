//! Two hosts on one store: each sees the other's writes, and of two puts of one name exactly one stores its content.

use portico_guest_conformance::hosts::*;
use portico_guest_conformance::*;

cases! {
    what_one_writes_the_other_sees [instances=2, hosts=2],
    what_one_deletes_the_other_misses [instances=2, hosts=2],
    the_same_part [instances=2, hosts=2],
    the_same_part_again [instances=2, hosts=2],
    another_part_of_that_number [instances=2, hosts=2],
    the_same_large_part [instances=2, hosts=2, needs="large"],
    the_same_final [instances=2, hosts=2],
    another_final_of_that_id [instances=2, hosts=2],
    one_killed_while_it_puts [instances=3, hosts=2],
}

fn what_one_writes_the_other_sees(store: &Store) {
    for round in 0..ROUNDS {
        let (id, content) = (name(round), pattern(round, SIZE));
        if fixture::instance() == round % 2 {
            put(store, &id, &content);
            put_part(store, &id, 1, &content);
            let version = store.create_record(&id, b"first").expect("a record");
            store.replace_record(&id, &version, b"second").expect("a record");
            store.void_final(&format!("{id}-void"), "reason").expect("an end");
        }
        fixture::meet();
        if fixture::instance() != round % 2 {
            keep_object(store, &store.stat_final(&id).expect("an object"), &content);
            let parts = parts_of(store, &id);
            let [part] = parts.as_slice() else { panic!("{parts:?}") };
            keep_part(store, &store.stat_temp_part(&part.temp_key).expect("a part"), &content);
            assert_eq!(store.get_record(&id).expect("a record").value, b"second");
            refused(store.stat_final(&format!("{id}-void")), gone("reason"));
            let finals: Vec<_> = store.finals().collect::<Result<_>>().expect("a listing");
            assert_eq!(finals.len() as u32, round + 1);
            assert_eq!(store.records("").count() as u32, round + 1);
            assert_eq!(store.sessions().count() as u32, round + 1);
        }
        fixture::meet();
    }
}

fn what_one_deletes_the_other_misses(store: &Store) {
    let content = pattern(1, SIZE);
    if is_first() {
        put(store, "file", &content);
        put_part(store, "session", 1, &content);
        put_part(store, "session", 2, &content);
        store.create_record("name", b"").expect("a record");
    }
    fixture::meet();
    let (object, parts) = (store.stat_final("file").expect("an object"), parts_of(store, "session"));
    fixture::meet();
    if !is_first() {
        assert_eq!(store.delete_final(&object.bucket, &object.key), Ok(true));
        assert_eq!(store.delete_temp_part(&parts[0].temp_key), Ok(true));
        assert_eq!(store.delete_session_parts("session"), Ok(1));
        assert_eq!(store.delete_record("name", None), Ok(true));
    }
    fixture::meet();
    refused(store.stat_final("file"), gone("deleted"));
    refused(store.get_final_stream(&object.bucket, &object.key, ..), gone("deleted"));
    refused(store.put_final("file", content.source(), FinalOptions::new()), gone("deleted"));
    for part in &parts {
        refused(store.get_temp_part_stream(&part.temp_key, ..), Error::NotFound);
        assert_eq!(store.delete_temp_part(&part.temp_key), Ok(false));
    }
    refused(store.get_record("name"), Error::NotFound);
    assert_eq!(store.sessions().count() + store.finals().count() + store.records("").count(), 0);
}

fn sorted<const N: usize>(mut words: [&str; N]) -> [&str; N] {
    words.sort_unstable();
    words
}

/// Both hosts put a part of one number. One stores its part; the other is refused, or gets the receipt of that part.
fn race_parts(store: &Store, rounds: u32, content: impl Fn(u32) -> Content, options: PartOptions, loser: &str) {
    for round in 0..rounds {
        let content = content(round);
        fixture::meet();
        let how = match store.put_temp_part("session", round, content.source(), options.clone()) {
            Ok(part) => {
                if !part.replayed {
                    keep_part(store, &part, &content);
                }
                fixture::report(&part.temp_key);
                if part.replayed { "replayed" } else { "stored" }
            }
            Err(error) => {
                assert_eq!(error, Error::Conflict);
                "conflict"
            }
        };
        assert_eq!(ended(round, how), sorted([loser, "stored"]));
        let parts = parts_of(store, "session");
        assert_eq!(parts.len() as u32, round + 1);
        let key = &parts[round as usize].temp_key;
        let told = fixture::reports().into_iter().filter(|word| word == key).count();
        assert_eq!(told, if loser == "replayed" { 2 } else { 1 }, "told of another part than {key}");
    }
}

fn the_same_part(store: &Store) {
    race_parts(store, ROUNDS, |round| pattern(round, SIZE), PartOptions::new(), "conflict");
}

fn the_same_part_again(store: &Store) {
    race_parts(store, ROUNDS, |round| pattern(round, SIZE), PartOptions::new().same_content_ok(), "replayed");
}

fn another_part_of_that_number(store: &Store) {
    let content = |round| pattern(2 * round + fixture::instance(), SIZE);
    race_parts(store, ROUNDS, content, PartOptions::new().same_content_ok(), "conflict");
}

fn the_same_large_part(store: &Store) {
    race_parts(store, 2, |round| pattern(round, 9 << 20), PartOptions::new().same_content_ok(), "replayed");
}

/// Both hosts put an object of one id, as in [`race_parts`].
fn race_finals(store: &Store, content: impl Fn(u32) -> Content, loser: &str) {
    for round in 0..ROUNDS {
        let (id, content) = (name(round), content(round));
        fixture::meet();
        let put = store.put_final(&id, content.source(), FinalOptions::new().same_content_ok());
        let how = match &put {
            Ok(object) if object.replayed => "replayed",
            Ok(object) => {
                keep_object(store, object, &content);
                "stored"
            }
            Err(error) => {
                assert_eq!(*error, Error::Conflict);
                "conflict"
            }
        };
        assert_eq!(ended(round, how), sorted([loser, "stored"]));
        let there = store.stat_final(&id).expect("an object");
        if let Ok(own) = put {
            assert_eq!(StoredObject { replayed: false, ..own }, there);
        }
    }
}

fn the_same_final(store: &Store) {
    race_finals(store, |round| pattern(round, SIZE), "replayed");
}

fn another_final_of_that_id(store: &Store) {
    race_finals(store, |round| pattern(2 * round + fixture::instance(), SIZE), "conflict");
}

/// A guest of one host is killed during its puts. They leave nothing that disturbs the other host.
fn one_killed_while_it_puts(store: &Store) {
    match fixture::instance() {
        0 => {
            fixture::ends(fixture::Outcome::Killed);
            let _ = store.put_temp_part("session", 1, pattern(1, 1_300_000).then_silence(), PartOptions::new());
            panic!("it goes on");
        }
        1 => {
            let contents = [pattern(11, SIZE), pattern(12, SIZE)];
            fixture::await_end(1);
            let part = put_part(store, "session", 1, &contents[0]);
            fixture::kill(0);
            let other = put_part(store, "session", 2, &contents[1]);
            let whole = contents[0].clone().then(&contents[1]);
            let object = store.assemble_final("file", [part.temp_key, other.temp_key], FinalOptions::new());
            keep_object(store, &object.expect("an object"), &whole);
            fixture::report("made");
        }
        _ => {
            fixture::await_end(1);
            fixture::await_drop(1);
        }
    }
}
