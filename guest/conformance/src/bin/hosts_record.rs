//! Two hosts on one store: of two changes of one version of a record exactly one takes effect.

use portico_guest_conformance::hosts::*;
use portico_guest_conformance::*;

cases! {
    records_created_by_both [instances=2, hosts=2],
    records_replaced_by_both [instances=2, hosts=2],
    a_record_counted_up_by_both [instances=4, hosts=2],
    records_deleted_against_replaced [instances=2, hosts=2],
}

fn records_created_by_both(store: &Store) {
    for round in 0..ROUNDS {
        let (id, own) = (name(round), fixture::instance().to_string());
        fixture::meet();
        let created = store.create_record(&id, own.as_bytes());
        let all = ended(round, if created.is_ok() { own.as_str() } else { "conflict" });
        assert_eq!(all[1], "conflict", "{all:?}");
        let there = store.get_record(&id).expect("a record");
        assert_eq!(there.value, all[0].as_bytes());
        match created {
            Ok(version) => assert_eq!(version, there.version),
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }
}

fn records_replaced_by_both(store: &Store) {
    if is_first() {
        store.create_record("name", b"").expect("a record");
    }
    for round in 0..ROUNDS {
        fixture::meet();
        let (own, version) = (fixture::instance().to_string(), store.get_record("name").expect("a record").version);
        fixture::meet();
        let replaced = store.replace_record("name", &version, own.as_bytes());
        let all = ended(round, if replaced.is_ok() { own.as_str() } else { "conflict" });
        assert_eq!(all[1], "conflict", "{all:?}");
        let there = store.get_record("name").expect("a record");
        assert_eq!(there.value, all[0].as_bytes());
        match replaced {
            Ok(version) => assert_eq!(version, there.version),
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }
}

/// Four guests on two hosts increment a counter; no increment is lost or counted twice.
fn a_record_counted_up_by_both(store: &Store) {
    const EACH: u32 = 10;
    if is_first() {
        store.create_record("count", b"0").expect("a record");
    }
    fixture::meet();
    let mut counted = 0;
    while counted < EACH {
        let there = store.get_record("count").expect("a record");
        let count: u32 = String::from_utf8(there.value).expect("digits").parse().expect("a number");
        match store.replace_record("count", &there.version, (count + 1).to_string().as_bytes()) {
            Ok(_) => counted += 1,
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }
    fixture::meet();
    assert_eq!(store.get_record("count").expect("a record").value, (4 * EACH).to_string().as_bytes());
}

fn records_deleted_against_replaced(store: &Store) {
    for round in 0..ROUNDS {
        let id = name(round);
        if is_first() {
            store.create_record(&id, b"old").expect("a record");
        }
        fixture::meet();
        let version = store.get_record(&id).expect("a record").version;
        fixture::meet();
        let how = if is_first() {
            match store.delete_record(&id, Some(&version)) {
                Ok(true) => "deleted",
                Ok(false) => panic!("there was none"),
                Err(error) => {
                    assert_eq!(error, Error::Conflict);
                    "late"
                }
            }
        } else {
            match store.replace_record(&id, &version, b"new") {
                Ok(_) => "replaced",
                Err(error) => {
                    assert_eq!(error, Error::NotFound);
                    "missing"
                }
            }
        };
        let all = ended(round, how);
        assert!(all == ["deleted", "missing"] || all == ["late", "replaced"], "{all:?}");
        match store.get_record(&id) {
            Ok(there) => assert!(all[0] == "late" && there.value == b"new"),
            Err(error) => assert!(all[0] == "deleted" && error == Error::NotFound),
        }
    }
}
