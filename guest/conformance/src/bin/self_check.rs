//! Cases that must fail, to test the runner. The name of a case begins with the expected kind of failure.

use portico_guest_conformance::fixture::{Outcome, Piece};
use portico_guest_conformance::*;

cases! {
    instance_panics,
    instance_exits,
    instance_ends_otherwise_than_it_said,
    instance_returns_where_it_said_it_would_not,
    instance_fails_while_another_waits [instances=2],
    timed_out_in_a_loop,
    timed_out_in_a_host_call,
    timed_out_at_a_meeting [instances=2],
    audit_of_an_object_that_nobody_claims,
    audit_of_a_part_that_nobody_claims,
    audit_of_an_object_that_is_not_there,
    audit_of_a_part_that_is_not_there,
    audit_of_an_object_claimed_twice,
    audit_of_other_bytes,
    audit_of_more_bytes,
}

fn instance_panics(_: &Store) {
    panic!("on purpose");
}

fn instance_exits(_: &Store) {
    std::process::exit(0);
}

fn instance_ends_otherwise_than_it_said(_: &Store) {
    fixture::ends(Outcome::HostTrap);
    panic!("on purpose");
}

fn instance_returns_where_it_said_it_would_not(_: &Store) {
    fixture::ends(Outcome::GuestTrap);
}

fn instance_fails_while_another_waits(_: &Store) {
    match fixture::instance() {
        0 => fixture::await_end(1),
        _ => panic!("on purpose"),
    }
}

fn timed_out_in_a_loop(_: &Store) {
    loop {
        std::hint::spin_loop();
    }
}

fn timed_out_in_a_host_call(store: &Store) {
    let _ = store.put_final("file", pattern(1, 10).then_silence(), FinalOptions::new());
}

fn timed_out_at_a_meeting(_: &Store) {
    if fixture::instance() == 0 {
        fixture::meet();
    }
}

fn audit_of_an_object_that_nobody_claims(store: &Store) {
    put(store, "file", &pattern(1, 10));
}

fn audit_of_a_part_that_nobody_claims(store: &Store) {
    put_part(&store.scope("scope").expect("a scope"), "session", 1, &pattern(1, 10));
}

fn audit_of_an_object_that_is_not_there(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    keep_object(store, &object, &content);
    store.delete_final(&object.bucket, &object.key).expect("a delete");
}

fn audit_of_a_part_that_is_not_there(store: &Store) {
    let content = pattern(1, 10);
    let part = put_part(store, "session", 1, &content);
    keep_part(store, &part, &content);
    store.delete_temp_part(&part.temp_key).expect("a delete");
}

fn audit_of_an_object_claimed_twice(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file", &content);
    keep_object(store, &object, &content);
    keep_object(store, &object, &content);
}

fn audit_of_other_bytes(store: &Store) {
    let object = put(store, "file", &pattern(1, 10));
    fixture::keep_object(&object.bucket, &object.key, &[Piece { seed: 2, start: 0, size: 10 }]);
}

fn audit_of_more_bytes(store: &Store) {
    let object = put(store, "file", &pattern(1, 10));
    fixture::keep_object(&object.bucket, &object.key, &[Piece { seed: 1, start: 0, size: 9 }]);
}
