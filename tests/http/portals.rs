//! Portals that misbehave: each gets its one request the right answer or a cut, and nobody else notices.

use crate::Store;
use crate::fixture::{Connection, Pattern, Server, eventually};
use portico_test_artifacts::HOSTILE;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

/// More often than there are slots for guests, so that a slot that is lost is missed.
const ROUNDS: usize = 6;

/// A budget that a guest which computes for ever has spent soon. Those that do not are given the default, because on a
/// machine that is busy even a short computation takes long.
pub(crate) const LITTLE_CPU: [&str; 2] = ["--guest-cpu", "200ms"];

/// Serves the portal that does what its client asks, with little memory and few slots.
pub(crate) fn hostile(flags: &[&str]) -> Server {
    let store = Arc::new(Store::new());
    let portal = store.beside("hostile.wasm");
    fs::write(&portal, HOSTILE).expect("a file");
    let portal = portal.display().to_string();
    let few = ["--portal", &*portal, "--guest-memory", "16MiB", "--max-requests", "4"];
    Server::start_on(&store, &[&few, flags].concat())
}

#[track_caller]
fn expect_ok(server: &Server) {
    let response = server.ask("GET /ok", &[]);
    assert_eq!((response.head.status, &*response.body), (200, b"ok".as_slice()));
}

#[test]
fn a_guest_that_fails_before_its_answer_is_500_and_logged_with_the_id() {
    let server = hostile(&[]);
    for (path, logged) in [
        ("/trap", "unreachable"),
        ("/silent", "without a response"),
        ("/exit", "exit"),
        ("/recurse", "out of bounds"),
        ("/random", "exceeds limit"),
        ("/handles", "no free keys"),
        ("/memory", "unreachable"),
        ("/write-then-trap", "unreachable"),
    ] {
        for _ in 0..ROUNDS {
            let failed = server.ask(&format!("GET {path}"), &[]);
            let problem = failed.expect_host_problem(500);
            // The cause stands in the log, under the id that the client got, and not in the answer.
            assert_eq!(problem["detail"], "The portal failed to answer this request.", "{path}");
            let id = failed.head.field("x-request-id").expect("an id");
            let line = eventually("an error under the id in the log", || {
                let log = server.log();
                log.lines().find(|line| line.contains("ERROR") && line.contains(id)).map(str::to_owned)
            });
            assert!(line.contains(logged), "{path}: no {logged:?} in {line}");
        }
        expect_ok(&server);
    }
    server.finish(&[]);
}

#[test]
fn a_guest_that_answers_with_an_error_is_502() {
    let server = hostile(&[]);
    for _ in 0..ROUNDS {
        server.ask("GET /error", &[]).expect_host_problem(502);
    }
    expect_ok(&server);
    server.finish(&[]);
}

#[test]
fn a_guest_that_computes_for_ever_is_ended_and_others_run_beside_it() {
    let server = hostile(&LITTLE_CPU);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ROUNDS / 2 {
                    let problem = server.ask("GET /spin", &[]).expect_host_problem(500);
                    assert_eq!(problem["detail"], "The portal took too much processor time.");
                }
            });
        }
        (0..20).for_each(|_| expect_ok(&server));
    });
    server.finish(&[]);
}

#[test]
fn a_guest_that_takes_all_memory_gets_its_own_and_no_more() {
    let server = hostile(&[]);
    expect_ok(&server);
    server.reset_peak();
    let before = server.peak();
    for _ in 0..ROUNDS {
        server.ask("GET /memory", &[]).expect_host_problem(500);
    }
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for a guest of 16 MiB");
    // What it had is given back.
    server.reset_peak();
    expect_ok(&server);
    let kept = server.peak().saturating_sub(before);
    assert!(kept < 8 << 20, "{kept} bytes stay");
    server.finish(&[]);
}

#[test]
fn a_guest_that_fails_in_its_answer_is_cut_off() {
    let server = hostile(&LITTLE_CPU);
    for path in ["/head-then-trap", "/head-then-spin", "/head-then-return", "/short", "/long"] {
        for _ in 0..ROUNDS {
            let mut connection = server.connect();
            connection.request(&format!("GET {path}"), &[]);
            // The head may be lost with the rest.
            let mut seen = Vec::new();
            let cut = match connection.try_head() {
                Err(cut) => cut,
                Ok(head) => {
                    head.expect(200, &[("content-length", Some("10"))]);
                    connection.body(&head, |_, bytes| seen.extend_from_slice(bytes)).expect_err("a cut")
                }
            };
            assert!(matches!(cut.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{path}: {cut}");
            assert!(b"four".starts_with(&seen), "{path}: {seen:?}");
        }
        expect_ok(&server);
    }
    server.finish(&[]);
}

#[test]
fn a_guest_that_never_answers_is_left_to_its_client() {
    let server = hostile(&[]);
    let waiting: Vec<Connection> = (0..4)
        .map(|_| {
            let mut connection = server.connect();
            connection.request("GET /never", &[]);
            connection
        })
        .collect();
    eventually("four guests asleep", || (server.log().matches(": asleep ").count() == 4).then_some(()));
    // They hold all slots, and cost no processor time. What needs no guest is answered.
    server.ask("GET /ok", &[]).expect_host_problem(503);
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    drop(waiting);
    eventually("a free slot", || (server.ask("GET /ok", &[]).head.status == 200).then_some(()));
    server.finish(&[]);
}

#[test]
fn what_a_guest_prints_is_bounded_and_forges_nothing() {
    let server = hostile(&[]);
    for _ in 0..ROUNDS {
        let before = server.log().len();
        assert_eq!(server.ask("GET /print", &[]).body, b"printed");
        let printed = eventually("the end of the exchange in the log", || {
            let log = server.log().split_off(before);
            log.contains("access").then_some(log)
        });
        assert!(printed.contains("too much output"), "{printed}");
        assert!(printed.len() < 512 << 10, "{} bytes of log", printed.len());
        assert!(printed.contains("forged  [2Jline") && !printed.contains(['\r', '\u{1b}']));
    }
    expect_ok(&server);
    server.finish(&[]);
}

#[test]
fn a_guest_reaches_storage_and_nothing_else() {
    let server = hostile(&[]);
    let reached = server.ask("GET /reach", &[]);
    let expected = "file=false folder=false made=false tcp_denied=true listen=false udp=false variables=0 arguments=0 \
                    http=Err(ErrorCode::HttpRequestDenied)";
    assert_eq!(String::from_utf8_lossy(&reached.body), expected);

    // What of a request is the host's word reaches the guest from nobody else.
    let fields =
        [("X-Portico-Tenant", "forged"), ("x-portico-", "forged"), ("X-Other", "kept"), ("X-Request-Id", "forged")];
    let response = server.ask("GET /headers", &fields);
    let seen = String::from_utf8(response.body.clone()).expect("text");
    let id = response.head.field("x-request-id").expect("an id");
    assert!(seen.contains("x-other: kept\n") && seen.contains(&format!("x-request-id: {id}\n")), "{seen}");
    assert!(!seen.contains("forged") && !seen.contains("x-portico"), "{seen}");
    server.finish(&[]);
}

#[test]
fn a_guest_opens_so_many_writers_and_leaves_none() {
    let server = hostile(&[]);
    for _ in 0..ROUNDS {
        let response = server.ask("GET /writers", &[]);
        let told = String::from_utf8_lossy(&response.body);
        assert!(told.starts_with("64 then Unavailable"), "{told}");
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

#[test]
fn a_guest_that_fails_after_a_put_has_put() {
    let server = hostile(&[]);
    let content = Pattern::new(1, 300_000);
    let mut connection = server.connect();
    connection.send_put("/put-then-trap", &[], &content);
    connection.response().expect_host_problem(500);
    // Stored whole before the guest failed: a put that has answered its guest stays.
    let file = crate::fixture::Stored { id: "whole".to_owned(), content };
    server.finish(&[&file]);
}
