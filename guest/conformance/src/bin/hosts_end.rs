//! Two hosts on one store: an id ends once, and each deletion happens once.

use portico_guest_conformance::hosts::*;
use portico_guest_conformance::*;

cases! {
    put_against_void [instances=2, hosts=2],
    assembled_against_void [instances=2, hosts=2],
    void_against_void [instances=2, hosts=2],
    delete_against_delete [instances=2, hosts=2],
    delete_against_read [instances=2, hosts=2],
    delete_against_put [instances=2, hosts=2],
    session_deleted_by_both [instances=2, hosts=2],
}

/// Either the object or the tombstone of an id is created, never both.
fn against_void(store: &Store, round: u32, make: impl FnOnce() -> Result<StoredObject>, content: &Content) {
    let id = name(round);
    fixture::meet();
    let how = if is_first() {
        match make() {
            Ok(object) => {
                keep_object(store, &object, content);
                "made"
            }
            Err(error) => {
                assert_eq!(error, gone("reason"));
                "gone"
            }
        }
    } else {
        let decided = store.void_final(&id, "reason").expect("an answer");
        if decided { "voided" } else { "late" }
    };
    let all = ended(round, how);
    assert!(all == ["late", "made"] || all == ["gone", "voided"], "{all:?}");
    match store.stat_final(&id) {
        Ok(object) => assert!(all[1] == "made" && object.size == content.size()),
        Err(error) => assert!(all[1] == "voided" && error == gone("reason")),
    }
}

fn put_against_void(store: &Store) {
    for round in 0..ROUNDS {
        let content = pattern(round, SIZE);
        against_void(store, round, || store.put_final(&name(round), content.source(), FinalOptions::new()), &content);
    }
}

fn assembled_against_void(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let whole = halves(store, &session, 2, SIZE);
        let there = parts_of(store, &session);
        let count = there.len();
        fixture::meet();
        let assemble = || store.assemble_final(&session, keys(there), FinalOptions::new());
        against_void(store, round, assemble, &whole);
        let made = store.stat_final(&session).is_ok();
        assert_eq!(parts_of(store, &session).len(), if made { 0 } else { count });
        fixture::meet();
        if is_first() {
            store.delete_session_parts(&session).expect("an answer");
        }
    }
}

fn void_against_void(store: &Store) {
    for round in 0..ROUNDS {
        let reason = fixture::instance().to_string();
        fixture::meet();
        let decided = store.void_final(&name(round), &reason).expect("an answer");
        let all = ended(round, if decided { reason.as_str() } else { "late" });
        assert_eq!(all[1], "late", "{all:?}");
        refused(store.stat_final(&name(round)), gone(&all[0]));
    }
}

fn delete_against_delete(store: &Store) {
    for round in 0..ROUNDS {
        let (id, content) = (name(round), pattern(round, SIZE));
        if is_first() {
            put(store, &id, &content);
            put_part(store, &id, 1, &content);
            store.create_record(&id, b"").expect("a record");
        }
        fixture::meet();
        let (object, parts) = (store.stat_final(&id).expect("an object"), parts_of(store, &id));
        fixture::meet();
        let did = [
            store.delete_final(&object.bucket, &object.key).expect("an answer"),
            store.delete_temp_part(&parts[0].temp_key).expect("an answer"),
            store.delete_record(&id, None).expect("an answer"),
        ];
        let all = ended(round, &did.map(|did| if did { "1" } else { "0" }).concat());
        let sum = |at: usize| all.iter().filter(|did| did.as_bytes()[at] == b'1').count();
        assert_eq!([sum(0), sum(1), sum(2)], [1, 1, 1], "{all:?}");
        refused(store.stat_final(&id), gone("deleted"));
        assert_parts(store, &id, []);
        refused(store.get_record(&id), Error::NotFound);
    }
}

/// Checks that a stream delivers all of the content or fails, and never ends early.
fn assert_read_or_fails(content: &Content, stream: Result<ReadStream>, without: &Error) {
    use std::io::Read;
    let mut found = Vec::new();
    match stream {
        Ok(mut stream) => match stream.read_to_end(&mut found) {
            Ok(_) => assert!(found == content.bytes(), "{} bytes of {}", found.len(), content.size()),
            failed => drop(stream_error(failed)),
        },
        Err(error) => assert_eq!(error, *without),
    }
}

fn delete_against_read(store: &Store) {
    for round in 0..ROUNDS {
        let (id, content) = (name(round), pattern(round, 600_000));
        if is_first() {
            put(store, &id, &content);
            put_part(store, &id, 1, &content);
        }
        fixture::meet();
        let (object, parts) = (store.stat_final(&id).expect("an object"), parts_of(store, &id));
        fixture::meet();
        if is_first() {
            store.delete_final(&object.bucket, &object.key).expect("an answer");
            store.delete_temp_part(&parts[0].temp_key).expect("an answer");
        } else {
            let stream = store.get_final_stream(&object.bucket, &object.key, ..);
            assert_read_or_fails(&content, stream, &gone("deleted"));
            let stream = store.get_temp_part_stream(&parts[0].temp_key, ..);
            assert_read_or_fails(&content, stream, &Error::NotFound);
        }
    }
}

/// A part is deleted while the same number is put: the part that remains, if any, was put and can be read.
fn delete_against_put(store: &Store) {
    for round in 0..ROUNDS {
        let (old, new) = (pattern(2 * round, SIZE), pattern(2 * round + 1, SIZE));
        if is_first() {
            put_part(store, "session", round, &old);
        }
        fixture::meet();
        let parts = parts_of(store, "session");
        let key = parts.last().expect("a part").temp_key.clone();
        fixture::meet();
        let how = if is_first() {
            assert_eq!(store.delete_temp_part(&key), Ok(true));
            "deleted"
        } else {
            match store.put_temp_part("session", round, new.source(), PartOptions::new()) {
                Ok(part) => {
                    keep_part(store, &part, &new);
                    "stored"
                }
                Err(error) => {
                    assert_eq!(error, Error::Conflict);
                    "conflict"
                }
            }
        };
        let all = ended(round, how);
        refused(store.get_temp_part_stream(&key, ..), Error::NotFound);
        if all[0] == "conflict" && is_first() {
            keep_part(store, &put_part(store, "session", round, &new), &new);
        }
        fixture::meet();
        assert_eq!(parts_of(store, "session").len() as u32, round + 1);
    }
}

/// Exactly one deletion counts each part.
fn session_deleted_by_both(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        halves(store, &session, 6, 100);
        fixture::meet();
        let count = store.delete_session_parts(&session).expect("an answer");
        let all = ended(round, &count.to_string());
        let sum: u32 = all.iter().map(|count| count.parse::<u32>().expect("a number")).sum();
        assert_eq!(sum, 6, "{all:?}");
        assert_parts(store, &session, []);
    }
}
