//! `portico check --portal`: what a component needs and offers, without a store.

use crate::Store;
use crate::fixture::server::Said;
use crate::fixture::{portico, run};
use crate::portal_limits::component;
use portico_test_artifacts::HOSTILE;
use std::fs;

fn check(component: &[u8], flags: &[&str]) -> Said {
    let store = Store::new();
    let file = store.beside("portal.wasm");
    fs::write(&file, component).expect("a file");
    run(portico(["check", "--portal", &*file.display().to_string()].iter().chain(flags)))
}

#[track_caller]
fn expect(said: &Said, code: i32, lines: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for line in lines {
        assert!(said.out.lines().any(|said| said == *line), "no line {line:?} in {}", said.out);
    }
}

#[test]
fn a_portal_is_described_without_a_store() {
    let said = check(HOSTILE, &[]);
    let lines = ["export  wasi:http/incoming-handler@0.2.12", "answers HTTP: yes", "does maintenance: yes"];
    expect(&said, 0, &lines);
    assert!(said.out.contains("import  portico:storage/") && !said.out.contains("MISSING"), "{}", said.out);
    assert!(said.out.contains("linear memories: 1, at most 8 (guest_memories)"), "{}", said.out);
    assert_eq!(said.err, "");

    let said = check(&component(""), &["--guest-tables", "5"]);
    let lines = ["core instances: 1, at most 64 (guest_instances)", "tables: 0, at most 5 (guest_tables)"];
    expect(&said, 0, &[&lines[..], &["does maintenance: no"]].concat());
}

#[test]
fn all_that_is_missing_is_named() {
    let more = r#"
        (import "other:thing/first@1.0.0" (instance (export "run" (func))))
        (import "other:thing/second" (instance (export "thing" (type (sub resource)))))
        (import "lone" (func))"#;
    let said = check(&component(more), &[]);
    expect(&said, 1, &["import  wasi:http/types@0.2.0"]);
    for name in ["other:thing/first@1.0.0", "other:thing/second", "lone"] {
        assert!(said.out.contains(&format!("import  {name}  MISSING (")), "{}", said.out);
        assert!(said.err.contains(&format!("{name} (")), "{}", said.err);
    }
    assert!(said.err.contains("does not provide") && said.err.contains("wac plug"), "{}", said.err);
}

#[test]
fn what_is_known_is_printed_before_the_error() {
    let said = check(
        &component("(core module $m (memory 1) (memory 1)) (core instance (instantiate $m))"),
        &["--guest-memories", "1"],
    );
    expect(&said, 1, &["linear memories: 2, at most 1 (guest_memories)", "answers HTTP: yes"]);
    assert!(said.err.contains("raise guest_memories to at least 2"), "{}", said.err);
    let said = check(&wat::parse_str("(component)").expect("a component"), &[]);
    expect(&said, 1, &["answers HTTP: no"]);
}
