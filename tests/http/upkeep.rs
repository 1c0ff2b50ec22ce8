//! What a server does without a client, on a timer: whatever it meets, requests go on.

use crate::Store;
use crate::fixture::session::PART;
use crate::fixture::{Pattern, Server, Session, Stored, eventually, run};
use crate::portal_limits::component;
use portico_test_artifacts::HOSTILE;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// So often that some passes fall into everything that a test does.
const OFTEN: [&str; 2] = ["--maintenance-interval", "1ms"];

/// Waits until something has been logged so often.
fn expect_logged(server: &Server, words: &str, times: usize) {
    eventually(words, || (server.log().matches(words).count() >= times).then_some(()));
}

/// A store beside which a component is.
fn store_with(component: &[u8]) -> (Arc<Store>, String) {
    let store = Arc::new(Store::new());
    let portal = store.beside("portal.wasm");
    fs::write(&portal, component).expect("a file");
    (store, portal.display().to_string())
}

fn plant(root: &Path) -> std::path::PathBuf {
    let staged = root.join("staging/0123456789abcdef0123456789abcdef");
    fs::write(&staged, [0; 1_000]).expect("a file");
    staged
}

#[test]
fn what_is_left_behind_goes_while_it_serves() {
    let server = Server::start(&["--maintenance-interval", "20ms"]);
    let file = server.put("kept", &Pattern::new(1, 100_000));
    for _ in 0..3 {
        let staged = plant(&server.store.root());
        eventually("the end of what was left behind", || (!staged.exists()).then_some(()));
    }
    for task in ["maintenance", "sweep"] {
        assert!(server.upkeep_passes(task, "done") > 0, "{task}");
        assert_eq!(server.upkeep_passes(task, "failed"), 0, "{task}");
    }
    server.finish(&[&file]);
}

#[test]
fn uploads_go_on_beside_it() {
    const CLIENTS: u64 = 8;
    const TURNS: u64 = 8;
    let server = Server::start(&OFTEN);
    let files: Vec<Stored> = std::thread::scope(|scope| {
        let client = |client: u64| {
            let server = &server;
            scope.spawn(move || {
                let turn = |turn: u64| {
                    let content = Pattern::new(client << 8 | turn, 3 * PART + client);
                    if turn % 4 == 3 {
                        return server.put("whole", &content);
                    }
                    let session = Session::begin(server, &content, PART);
                    (1..=session.parts()).rev().for_each(|number| session.put(server, number));
                    session.finish(server)
                };
                (0..TURNS).map(turn).collect::<Vec<_>>()
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    expect_logged(&server, "swept", 3);
    expect_logged(&server, "maintained", 3);
    files.iter().for_each(|file| server.expect_file(file));
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_maintenance_that_traps_ends_nothing_else() {
    let (store, portal) = store_with(HOSTILE);
    let server = Server::start_on(&store, &[&["--portal", &*portal, "--max-requests", "4"], &OFTEN[..]].concat());
    for _ in 0..20 {
        assert_eq!(server.ask("GET /ok", &[]).body, b"ok");
    }
    expect_logged(&server, "the portal's maintenance failed; it will be retried", 3);
    assert!(server.log().contains("unreachable"), "{}", server.log());
    let staged = plant(&store.root());
    eventually("the end of what was left behind", || (!staged.exists()).then_some(()));
    assert_eq!(server.ask("GET /ok", &[]).body, b"ok");
    server.finish(&[]);

    let mut command = store.command("sweep");
    command.args(["--portal", &*portal]);
    plant(&store.root());
    let said = run(command);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("maintenance") && said.err.contains("trapped"), "{said:?}");
    assert!(said.out.contains("removed 1 leftovers of 1000 bytes"), "{said:?}");
}

#[test]
fn a_portal_may_have_no_maintenance() {
    let (store, portal) = store_with(&component(""));
    let server = Server::start_on(&store, &[&["--portal", &*portal], &OFTEN[..]].concat());
    server.ask("GET /", &[]).expect_host_problem(500);
    expect_logged(&server, "swept", 3);
    assert!(!server.log().contains("maintenance") && !server.log().contains("WARN"), "{}", server.log());
    server.finish(&[]);
    let mut command = store.command("sweep");
    command.args(["--portal", &*portal]);
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert_eq!(said.out, "removed 0 leftovers of 0 bytes\n");
}

#[test]
fn none_is_none() {
    let store = Arc::new(Store::new());
    let server = Server::start_on(&store, &["--maintenance-interval", "0s"]);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    let staged = plant(&store.root());
    server.expect_file(&file);
    assert!(staged.exists() && !server.log().contains("swept"), "{}", server.log());
    fs::remove_file(staged).expect("a file");
    server.finish(&[&file]);
}
