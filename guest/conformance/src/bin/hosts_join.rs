//! Two hosts on one store: a join of one host, and the other's view of it.

use portico_guest_conformance::hosts::*;
use portico_guest_conformance::*;

cases! {
    what_one_joins_the_other_sees [instances=2, hosts=2],
    into_one_number_at_once [instances=2, hosts=2],
    into_two_numbers_at_once [instances=2, hosts=2],
    a_race_with_an_assembly [instances=2, hosts=2],
    appends_of_both_hosts [instances=2, hosts=2],
}

fn what_one_joins_the_other_sees(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let content = halves(store, &session, 3, SIZE);
        let parts = parts_of(store, &session);
        fixture::meet();
        let old: Vec<String> = keys(parts).collect();
        if fixture::instance() == round % 2 {
            store.join_temp_parts(&session, 9, &old).expect("a join");
        }
        fixture::meet();
        for key in &old {
            refused(store.stat_temp_part(key), Error::NotFound);
            refused(store.get_temp_part_stream(key, ..), Error::NotFound);
        }
        let parts = parts_of(store, &session);
        let [part] = parts.as_slice() else { panic!("{parts:?}") };
        let part = store.stat_temp_part(&part.temp_key).expect("a part");
        assert_eq!((part.part_number, part.size, part.offset), (9, content.size(), Some(0)));
        fixture::meet();
        if fixture::instance() != round % 2 {
            let options = FinalOptions::new().sha256(content.sha256());
            let object = store.assemble_final(&session, [part.temp_key], options).expect("an object");
            keep_object(store, &object, &content);
        }
        fixture::meet();
    }
}

/// Joins the parts of a round on both hosts. Returns the key of this host's join.
fn join_on_both(store: &Store, round: u32, number: u32) -> (Vec<String>, Content, Option<String>) {
    let session = name(round);
    let content = halves(store, &session, 3, SIZE);
    let old: Vec<String> = keys(parts_of(store, &session)).collect();
    fixture::meet();
    let joined = match store.join_temp_parts(&session, number, &old) {
        Ok(joined) => Some(joined.temp_key),
        Err(Error::Conflict | Error::NotFound) => None,
        Err(error) => panic!("{error:?}"),
    };
    (ended(round, if joined.is_some() { "joined" } else { "refused" }), content, joined)
}

fn into_one_number_at_once(store: &Store) {
    for round in 0..ROUNDS {
        let (how, content, joined) = join_on_both(store, round, 9);
        assert_eq!(how, ["joined", "refused"]);
        if let Some(key) = joined {
            let parts = parts_of(store, &name(round));
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0].temp_key, key);
            keep_part(store, &store.stat_temp_part(&key).expect("a part"), &content);
        }
    }
}

/// Both joins may make a part of all content, and at least one of them does.
fn into_two_numbers_at_once(store: &Store) {
    for round in 0..ROUNDS {
        let (how, content, joined) = join_on_both(store, round, 8 + fixture::instance());
        let made = how.iter().filter(|how| *how == "joined").count();
        assert!(made > 0, "{how:?}");
        assert_eq!(parts_of(store, &name(round)).len(), made);
        if let Some(key) = joined {
            keep_part(store, &store.stat_temp_part(&key).expect("a part"), &content);
        }
    }
}

fn a_race_with_an_assembly(store: &Store) {
    for round in 0..ROUNDS {
        let session = name(round);
        let content = halves(store, &session, 3, SIZE);
        let old: Vec<String> = keys(parts_of(store, &session)).collect();
        fixture::meet();
        let done = if fixture::instance() == round % 2 {
            match store.join_temp_parts(&session, 9, &old) {
                Ok(_) => "joined",
                Err(Error::NotFound) => "not joined",
                Err(error) => panic!("{error:?}"),
            }
        } else {
            match store.assemble_final(&session, &old, FinalOptions::new()) {
                Ok(object) => {
                    keep_object(store, &object, &content);
                    "assembled"
                }
                Err(Error::NotFound) => "not assembled",
                Err(error) => panic!("{error:?}"),
            }
        };
        let how = ended(round, done);
        let has = |word: &str| how.iter().any(|how| how == word);
        assert!(has("joined") || has("assembled"), "{how:?}");
        if is_first() {
            if has("joined") {
                let joined = parts_of(store, &session).into_iter().find(|part| part.part_number == 9);
                let stream = store.get_temp_part_stream(&joined.expect("the join").temp_key, ..).expect("a stream");
                content.assert_read(stream);
            }
            store.delete_session_parts(&session).expect("a deletion");
            parts_go(store, &session);
        }
        fixture::meet();
    }
}

/// Appends and joins in turn by both hosts, each behind what the other has made.
fn appends_of_both_hosts(store: &Store) {
    let (mut content, mut number) = (Content::default(), 0);
    for round in 0..ROUNDS {
        let piece = pattern(round, SIZE + u64::from(round));
        if fixture::instance() == round % 2 {
            let previous = parts_of(store, "session").pop();
            let mut options = PartOptions::new().keep_prefix().offset(content.size());
            options.previous = previous.as_ref().map(|part| part.temp_key.clone());
            let part = store.put_temp_part("session", number, piece.source(), options).expect("a part");
            if let Some(previous) = previous {
                store.join_temp_parts("session", number + 1, &[previous.temp_key, part.temp_key]).expect("a join");
            }
        }
        number += 2;
        content = content.then(&piece);
        fixture::meet();
    }
    if is_first() {
        let options = FinalOptions::new().sha256(content.sha256());
        let object = store.assemble_final("file", keys(parts_of(store, "session")), options).expect("an object");
        keep_object(store, &object, &content);
        parts_go(store, "session");
    }
}
