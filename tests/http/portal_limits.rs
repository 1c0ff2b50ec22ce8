//! Components of other shapes than the built-in portal's: those that fit are served, and those that do not are told why
//! before they are compiled.

use crate::Store;
use crate::fixture::{Server, portico, run};
use std::fs;
use std::sync::Arc;

/// A portal that leaves its clients without a response, with more parts beside its own.
pub(crate) fn component(more: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
    (import "wasi:http/types@0.2.0" (instance $types
        (export "incoming-request" (type (sub resource)))
        (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $out))
    (core module $code (func (export "handle") (param i32 i32)))
    (core instance $instance (instantiate $code))
    (func $handle (param "request" (own $request)) (param "response-out" (own $out))
        (canon lift (core func $instance "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler))
    {more})"#
    );
    wat::parse_str(text).expect("a component")
}

/// So many core instances, each with a memory of one page.
fn with_memories(count: usize) -> Vec<u8> {
    component(&format!("(core module $m (memory 1)) {}", "(core instance (instantiate $m))".repeat(count)))
}

/// So many core instances with two tables each.
fn with_tables(count: usize) -> Vec<u8> {
    let module = "(core module $m (table 1 funcref) (table 1 funcref))";
    component(&format!("{module} {}", "(core instance (instantiate $m))".repeat(count)))
}

fn with_instances(count: usize) -> Vec<u8> {
    component(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(count)))
}

#[test]
fn what_other_languages_make_fits() {
    // Python has 14 core instances, and a component that is composed of several has as many memories.
    for component in [with_instances(63), with_memories(8), with_tables(16)] {
        let store = Arc::new(Store::new());
        let portal = store.beside("portal.wasm");
        fs::write(&portal, component).expect("a file");
        let server = Server::start_on(&store, &["--portal", &portal.display().to_string(), "--max-requests", "4"]);
        for _ in 0..6 {
            server.ask("GET /", &[]).expect_host_problem(500);
        }
        // It ran, and set no response.
        let log = server.log_with("the guest returned without a response");
        assert!(!log.contains("could not be instantiated"), "{log}");
        server.finish(&[]);
    }
}

#[test]
fn the_memories_of_a_guest_share_its_limit() {
    // 40 MiB of 64, twice.
    let two = "(core module $m (memory 640)) (core instance (instantiate $m)) (core instance (instantiate $m))";
    let store = Arc::new(Store::new());
    let portal = store.beside("portal.wasm");
    fs::write(&portal, component(two)).expect("a file");
    let portal = portal.display().to_string();
    let server = Server::start_on(&store, &["--portal", &portal]);
    server.ask("GET /", &[]).expect_host_problem(500);
    server.log_with("the guest could not be instantiated");
    server.finish(&[]);
    let server = Server::start_on(&store, &["--portal", &portal, "--guest-memory", "80MiB"]);
    server.ask("GET /", &[]).expect_host_problem(500);
    server.log_with("the guest returned without a response");
    server.finish(&[]);
}

#[test]
fn what_exceeds_a_limit_is_told_with_the_setting_that_raises_it() {
    let store = Store::new();
    let portal = store.beside("portal.wasm");
    let file = portal.display().to_string();
    let refused = |component: &[u8], words: &str| {
        fs::write(&portal, component).expect("a file");
        let mut command = store.command("serve");
        command.args(["--listen", "127.0.0.1:0", "--portal", &*file]);
        let said = run(command);
        assert_eq!((said.code, &*said.out), (Some(1), ""), "{said:?}");
        assert!(said.err.contains(words) && said.err.contains(&file), "no {words:?} in {}", said.err);
    };
    refused(&with_instances(1_000), "has 1001 core instances, and guest_instances allows 64");
    refused(
        &with_memories(9),
        "has 9 linear memories, and guest_memories allows 8: raise guest_memories to at least 9",
    );
    refused(&with_tables(17), "has 34 tables, and guest_tables allows 32");
    let whole = with_instances(1);
    refused(&whole[..whole.len() - 20], "in the middle of the component");
    refused(b"", "is empty");
    refused(&vec![0; (128 << 20) + 1], "is larger than 128 MiB");

    // With the setting it is served.
    fs::write(&portal, with_memories(9)).expect("a file");
    let store = Arc::new(store);
    let server = Server::start_on(&store, &["--portal", &file, "--guest-memories", "9"]);
    server.ask("GET /", &[]).expect_host_problem(500);
    server.finish(&[]);
}

#[test]
fn a_folder_is_no_portal() {
    let store = Store::new();
    let folder = store.beside("").display().to_string();
    let said = run(portico(["check", "--portal", &folder]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("cannot read the file"), "{said:?}");
}
