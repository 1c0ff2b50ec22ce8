//! Joins beside other operations of their session.

use portico_guest_conformance::hosts::{ROUNDS, ended, name};
use portico_guest_conformance::joins::{SIZES, join, put_parts, whole};
use portico_guest_conformance::*;

cases! {
    beside_a_running_put [instances=2],
    into_one_number_at_once [instances=2],
    a_race_with_an_assembly [instances=2],
    a_race_with_the_deletion_of_the_session [instances=2],
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
