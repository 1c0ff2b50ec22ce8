//! Two hosts on one store: parts from both hosts become one object, and either host can assemble them.

use portico_guest_conformance::hosts::*;
use portico_guest_conformance::*;

cases! {
    parts_through_both [instances=2, hosts=2],
    large_parts_through_both [instances=2, hosts=2, needs="large"],
    assembled_by_both [instances=2, hosts=2],
    large_assembled_by_both [instances=2, hosts=2, needs="large"],
    assembled_by_both_to_other_objects [instances=2, hosts=2],
    assembled_while_a_part_is_deleted [instances=2, hosts=2],
    assembled_while_the_session_is_deleted [instances=2, hosts=2],
    one_killed_while_it_assembles [instances=2, hosts=2],
}

fn assemble_halves(store: &Store, parts: u32, size: u64) {
    let whole = halves(store, "session", parts, size);
    fixture::meet();
    if is_first() {
        let options = FinalOptions::new().size(whole.size());
        let object = store.assemble_final("file", keys(parts_of(store, "session")), options).expect("an object");
        assert_object(&object, &whole);
        assert_parts(store, "session", []);
    }
    fixture::meet();
    parts_go(store, "session");
    if !is_first() {
        keep_object(store, &store.stat_final("file").expect("an object"), &whole);
    }
}

fn parts_through_both(store: &Store) {
    assemble_halves(store, 20, SIZE);
}

fn large_parts_through_both(store: &Store) {
    assemble_halves(store, 4, 5 << 20);
}

/// Both hosts assemble a session to one object, as happens when a client retries a stuck call.
fn race_assemblies(store: &Store, round: u32, parts: u32, size: u64) {
    let session = name(round);
    let whole = halves(store, &session, parts, size);
    let there = parts_of(store, &session);
    fixture::meet();
    let how = match store.assemble_final(&session, keys(there), FinalOptions::new().same_content_ok()) {
        Ok(object) => {
            assert_object(&object, &whole);
            if object.replayed { "replayed" } else { "made" }
        }
        // Another assembly is running, or has consumed the parts.
        Err(Error::Conflict | Error::NotFound) => "refused",
        Err(error) => panic!("{error:?}"),
    };
    let all = ended(round, how);
    assert_eq!(all.iter().filter(|how| *how == "made").count(), 1, "{all:?}");
    parts_go(store, &session);
    let object = store.stat_final(&session).expect("an object");
    if is_first() {
        keep_object(store, &object, &whole);
    }
}

fn assembled_by_both(store: &Store) {
    (0..ROUNDS).for_each(|round| race_assemblies(store, round, 3, SIZE));
}

fn large_assembled_by_both(store: &Store) {
    race_assemblies(store, 0, 3, 5 << 20);
}

/// Hosts do not wait for each other, so both may make their object. Each is whole, and the parts are deleted.
fn assembled_by_both_to_other_objects(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let whole = halves(store, &session, 3, SIZE);
        let there = parts_of(store, &session);
        fixture::meet();
        let id = format!("{session}-{}", fixture::instance());
        let how = match store.assemble_final(&id, keys(there), FinalOptions::new()) {
            Ok(object) => {
                keep_object(store, &object, &whole);
                "made"
            }
            Err(Error::Conflict | Error::NotFound) => {
                assert_free(store, &id);
                "refused"
            }
            Err(error) => panic!("{error:?}"),
        };
        let all = ended(round, how);
        assert!(all.iter().any(|how| how == "made"), "both were refused");
        parts_go(store, &session);
    }
}

/// Assembles parts that another host deletes meanwhile: either makes the whole object, or none and misses a part.
fn made_or_not_found(store: &Store, id: &str, parts: Vec<ListedPart>, whole: &Content) {
    match store.assemble_final(id, keys(parts), FinalOptions::new()) {
        Ok(object) => keep_object(store, &object, whole),
        Err(error) => {
            refused(Err::<(), _>(error), Error::NotFound);
            assert_free(store, id);
        }
    }
}

/// The object either has the part's content or is not made. In both cases the part is deleted in the end.
fn assembled_while_a_part_is_deleted(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let whole = halves(store, &session, 3, SIZE);
        let there = parts_of(store, &session);
        fixture::meet();
        if is_first() {
            made_or_not_found(store, &session, there, &whole);
        } else {
            store.delete_temp_part(&there[1].temp_key).expect("an answer");
            refused(store.get_temp_part_stream(&there[1].temp_key, ..), Error::NotFound);
        }
        fixture::meet();
        if is_first() {
            store.delete_session_parts(&session).expect("an answer");
        }
        fixture::meet();
        parts_go(store, &session);
    }
}

fn assembled_while_the_session_is_deleted(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let whole = halves(store, &session, 3, SIZE);
        let there = parts_of(store, &session);
        fixture::meet();
        if is_first() {
            made_or_not_found(store, &session, there, &whole);
        } else {
            store.delete_session_parts(&session).expect("an answer");
        }
        fixture::meet();
        parts_go(store, &session);
    }
}

/// A host killed during an assembly leaves a whole object or none. Another host can take over.
fn one_killed_while_it_assembles(store: &Store) {
    let whole = halves(store, "session", 4, 700_000);
    let there = parts_of(store, "session");
    fixture::meet();
    if is_first() {
        fixture::ends(fixture::Outcome::Killed);
        fixture::report("assembles");
        let _ = store.assemble_final("file", keys(there), FinalOptions::new().same_content_ok());
        let _ = store.put_final("other", pattern(9, 10).then_silence(), FinalOptions::new());
        panic!("it goes on");
    }
    while fixture::reports().is_empty() {}
    fixture::kill(0);
    let mut tries = 0;
    let object = loop {
        let left = parts_of(store, "session");
        match (store.stat_final("file"), left.len()) {
            (Ok(object), 0) => break object,
            // The killed host's assembly may still complete, or has completed and left its parts.
            (there, count) => {
                tries += 1;
                assert!(tries < 10_000, "{there:?} with {count} parts, for ever");
                if count == 4 {
                    let made = store.assemble_final("file", keys(left), FinalOptions::new().same_content_ok());
                    if let Err(error) = made {
                        assert!(matches!(error, Error::Conflict | Error::NotFound), "{error:?}");
                    }
                }
            }
        }
    };
    keep_object(store, &object, &whole);
}
