//! `serve --watch`: a portal is replaced while it serves, and no request notices.

use crate::Store;
use crate::fixture::{Server, eventually};
use crate::portal_limits::component;
use portico_test_artifacts::HOSTILE;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn watched(component: &[u8]) -> (Server, PathBuf) {
    let store = Arc::new(Store::new());
    let file = store.beside("portal.wasm");
    fs::write(&file, component).expect("a file");
    let path = file.display().to_string();
    (Server::start_on(&store, &["--watch", "--portal", &*path, "--max-requests", "8"]), file)
}

/// Replaces a file as a build does, in one step.
fn put(file: &PathBuf, content: &[u8]) {
    let new = file.with_extension("new");
    fs::write(&new, content).expect("a file");
    fs::rename(&new, file).expect("a file");
}

fn replaced(server: &Server, times: usize) {
    eventually("the new portal", || (server.log().matches("the portal was replaced").count() >= times).then_some(()));
}

#[test]
fn a_new_portal_takes_over_without_a_dropped_request() {
    // The first sets no response.
    let (server, file) = watched(&component(""));
    server.ask("GET /ok", &[]).expect_host_problem(500);
    put(&file, HOSTILE);
    replaced(&server, 1);
    assert_eq!(server.ask("GET /ok", &[]).body, b"ok");

    // Requests go on, and one that runs keeps its component.
    let mut waiting = server.connect();
    waiting.request("GET /never", &[]);
    eventually("a guest asleep", || server.log().contains(": asleep ").then_some(()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(server.ask("GET /ok", &[]).body, b"ok");
                count += 1;
            }
            count
        });
        // Another file of the same behaviour: a custom section at its end.
        let mut other = HOSTILE.to_vec();
        other.extend_from_slice(b"\0\x02\x01x");
        put(&file, &other);
        replaced(&server, 2);
        is_over.store(true, Ordering::Relaxed);
        assert!(client.join().expect("no request fails") > 0);
    });
    assert!(!server.log().contains("the guest was dropped"), "{}", server.log());
    drop(waiting);
    server.finish(&[]);
}

#[test]
fn a_broken_portal_is_reported_and_the_old_one_continues() {
    let (server, file) = watched(HOSTILE);
    for (content, words) in [
        (&HOSTILE[..HOSTILE.len() / 2], "in the middle of the component"),
        (b"", "is empty"),
        (b"(module)", "wasm-tools parse"),
        (&component("(import \"other:thing/x\" (func))")[..], "other:thing/x"),
    ] {
        put(&file, content);
        server.log_with(words);
        assert_eq!(server.ask("GET /ok", &[]).body, b"ok", "{words}");
    }
    assert_eq!(server.log().matches("the old one continues").count(), 4, "{}", server.log());
    fs::remove_file(&file).expect("a file");
    assert_eq!(server.ask("GET /ok", &[]).body, b"ok");
    put(&file, &component(""));
    replaced(&server, 1);
    server.ask("GET /ok", &[]).expect_host_problem(500);
    server.finish(&[]);
}
