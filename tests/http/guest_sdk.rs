//! The smallest portal of the guest SDK, in the server. Its native tests, on a store in memory, claim the same.

use crate::Store;
use crate::fixture::{Pattern, Server, eventually, portico, run};
use portico_test_artifacts::EXAMPLES;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

fn tiny_portal(store: &Store) -> PathBuf {
    let (_, component) = EXAMPLES.iter().find(|(name, _)| *name == "tiny_portal").expect("an example");
    let file = store.beside("tiny.wasm");
    fs::write(&file, component).expect("a file");
    file
}

#[test]
fn a_portal_of_one_function_has_digests_ranges_and_conditions() {
    let store = Arc::new(Store::new());
    let portal = tiny_portal(&store);
    let server = Server::start_on(&store, &["--portal", &*portal.display().to_string()]);
    let content = Pattern::new(1, 300_000);
    let (digest, etag) = (content.digest_field(), format!("\"{}\"", content.sha256_hex()));
    let mut connection = server.connect();

    connection.send_put("/files/a", &[("Content-Type", "text/plain"), ("Repr-Digest", &digest)], &content);
    let stored = connection.response();
    let described = [("location", Some("/files/a")), ("etag", Some(&*etag)), ("repr-digest", Some(&*digest))];
    stored.head.expect(201, &described);

    for (fields, status, range) in [
        (vec![], 200, 0..300_000),
        (vec![("Range", "bytes=5-70000")], 206, 5..70_001),
        (vec![("Range", "bytes=-9"), ("If-Range", &*etag)], 206, 299_991..300_000),
        (vec![("Range", "bytes=-9"), ("If-Range", "\"other\"")], 200, 0..300_000),
    ] {
        connection.request("GET /files/a", &fields);
        let head = connection.head();
        head.expect(status, &[("content-type", Some("text/plain")), ("etag", Some(&*etag))]);
        connection.expect_content(&head, &content, range);
    }
    assert_eq!(connection.ask("GET /files/a", &[("If-None-Match", &etag)]).head.status, 304);
    connection.ask("HEAD /files/a", &[]).head.expect(200, &[("content-length", Some("300000"))]);
    connection.ask("GET /files/a", &[("Range", "bytes=300000-")]).expect_problem(416, "range-not-satisfiable");
    connection.ask("GET /files/b", &[]).expect_problem(404, "not-found");
    connection.ask("POST /files/a", &[("Content-Length", "0")]).expect_problem(405, "method-not-allowed");

    let put = |fields: &[(&str, &str)]| {
        let mut connection = server.connect();
        connection.send_put("/files/a", fields, &content);
        connection.response()
    };
    put(&[]).expect_problem(409, "conflict");
    put(&[("If-None-Match", "*")]).expect_problem(412, "precondition-failed");
    put(&[("If-Match", "*")]).expect_problem(412, "precondition-failed");

    assert_eq!(connection.ask("DELETE /files/a", &[]).head.status, 204);
    connection.ask("GET /files/a", &[]).expect_problem(410, "gone");
    server.finish(&[]);
}

#[test]
fn a_portal_of_one_function_stores_nothing_of_what_is_not_whole() {
    let store = Arc::new(Store::new());
    let portal = tiny_portal(&store);
    let server = Server::start_on(&store, &["--portal", &*portal.display().to_string()]);
    let content = Pattern::new(1, 300_000);

    let mut connection = server.connect();
    connection.send_put("/files/a", &[("Repr-Digest", &Pattern::new(2, 1).digest_field())], &content);
    connection.response().expect_problem(422, "digest-mismatch");

    let mut connection = server.connect();
    connection.request("PUT /files/a", &[("Content-Length", "300001")]);
    content.pieces().for_each(|piece| connection.send(piece));
    drop(connection);
    let counted = || server.metric("portico_guests_running") == Some(0);
    eventually("the end of the request", || counted().then_some(()));
    server.ask("GET /files/a", &[]).expect_problem(404, "not-found");
    server.finish(&[]);
}

/// A function is all that the portal exports, so the host asks it for no maintenance.
#[test]
fn a_portal_without_maintenance_exports_none() {
    let store = Store::new();
    let said = run(portico(["check", "--portal", &*tiny_portal(&store).display().to_string()]));
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in ["answers HTTP: yes", "does maintenance: no"] {
        assert!(said.out.lines().any(|said| said == line), "no line {line:?} in {}", said.out);
    }
    assert!(!said.out.contains("MISSING"), "{}", said.out);
}
