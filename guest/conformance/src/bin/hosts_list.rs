//! Listings of parts that another host has written or is writing.

use portico_guest_conformance::hosts::{SIZE, is_first};
use portico_guest_conformance::*;
use std::collections::BTreeMap;

cases! {
    parts_of_another_host [instances=2, hosts=2],
    parts_that_another_host_changes [instances=2, hosts=2],
}

/// Some parts are deleted, and some of those put again with another size.
fn parts_of_another_host(store: &Store) {
    let content = |number: u32, round: u64| pattern(number, SIZE + 1_000 * round + u64::from(number));
    if is_first() {
        let mut parts: BTreeMap<u32, TempPart> =
            (0..30).map(|number| (number, put_part(store, "session", number, &content(number, 0)))).collect();
        for number in (0..30).step_by(3) {
            assert_eq!(store.delete_temp_part(&parts[&number].temp_key), Ok(true));
            parts.remove(&number);
        }
        for number in (0..30).step_by(6) {
            parts.insert(number, put_part(store, "session", number, &content(number, 1)));
        }
        for part in parts.values() {
            fixture::report(&format!("{} {} {}", part.part_number, part.size, part.temp_key));
        }
    }
    fixture::meet();
    let found = parts_of(store, "session");
    let words = found.iter().map(|part| format!("{} {} {}", part.part_number, part.size, part.temp_key));
    assert_eq!(words.collect::<Vec<_>>(), fixture::reports());
    fixture::meet();
    if !is_first() {
        assert_eq!(store.delete_session_parts("session"), Ok(25));
    }
}

/// One host deletes and puts every second part while the other lists. The other parts are always listed, with their
/// keys.
fn parts_that_another_host_changes(store: &Store) {
    let contents = [pattern(1, 1_000), pattern(2, 2_000)];
    let mut changing: Vec<TempPart> = Vec::new();
    let mut stable = Vec::new();
    if is_first() {
        changing = (0..10).map(|at| put_part(store, "session", 2 * at, &contents[0])).collect();
        (0..10).for_each(|at| drop(put_part(store, "session", 2 * at + 1, &contents[0])));
    }
    fixture::meet();
    if !is_first() {
        stable = parts_of(store, "session").into_iter().filter(|part| part.part_number % 2 == 1).collect();
        assert_eq!(stable.len(), 10);
    }
    fixture::meet();
    if is_first() {
        for round in 1..8 {
            for part in &mut changing {
                assert_eq!(store.delete_temp_part(&part.temp_key), Ok(true));
                *part = put_part(store, "session", part.part_number, &contents[round % 2]);
            }
        }
        fixture::report("done");
    } else {
        let mut is_last = false;
        loop {
            let (others, found): (Vec<ListedPart>, Vec<ListedPart>) =
                parts_of(store, "session").into_iter().partition(|part| part.part_number % 2 == 0);
            assert_eq!(found, stable);
            assert!(others.iter().all(|part| [1_000, 2_000].contains(&part.size)), "{others:?}");
            if is_last {
                assert_eq!(others.len(), 10);
                break;
            }
            is_last = !fixture::reports().is_empty();
        }
    }
    fixture::meet();
    if is_first() {
        let listing: Vec<ListedPart> = parts_of(store, "session").into_iter().step_by(2).collect();
        assert!(is_listing_of(&listing, &changing), "{listing:?}, not {changing:?}");
        assert_eq!(store.delete_session_parts("session"), Ok(20));
    }
}
