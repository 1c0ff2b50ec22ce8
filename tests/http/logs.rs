//! What the log says of a request: the same id as its answer, whoever speaks.

use crate::Store;
use crate::fixture::{Pattern, Server, eventually};
use crate::portals::hostile;
use serde_json::Value;
use std::fs;
use std::sync::Arc;

/// Waits for a line of a log in JSON.
#[track_caller]
fn line(server: &Server, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let log = server.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.into_iter().find(|line| wanted(line))
    })
}

#[test]
fn a_guest_that_fails_is_followed_by_the_id_of_its_request() {
    let server = hostile(&["--log-format", "json"]);
    server.ask("GET /ok", &[]);
    let failed = server.ask("GET /trap", &[]);
    let id = failed.head.field("x-request-id").expect("an id");
    assert_eq!(failed.expect_host_problem(500)["request_id"], id);
    server.ask("GET /ok", &[]);

    let access = line(&server, "the exchange", |line| line["target"] == "access" && line["path"] == "/trap");
    assert_eq!((&access["request"], &access["status"]), (&id.into(), &500.into()), "{access}");
    let said = |line: &Value| line["message"].as_str().is_some_and(|message| message.contains("as asked"));
    let guest = line(&server, "what the guest says", |line| line["target"] == "portal" && said(line));
    assert_eq!((&guest["request"], &guest["output"]), (&id.into(), &"stderr".into()), "{guest}");
    let fault = line(&server, "how the guest ended", |line| line["level"] == "ERROR");
    assert_eq!((&fault["request"], &fault["message"]), (&id.into(), &"the guest failed".into()), "{fault}");
    server.finish(&[]);
}

#[test]
fn a_store_that_fails_is_followed_by_the_id_of_the_request() {
    let lose_the_content_of_a_file = || {
        let store = Arc::new(Store::new());
        let server = Server::start_on(&store, &[]);
        let file = server.put("lost", &Pattern::new(1, 1_000));
        server.stop(&[&file]);
        fs::remove_file(store.root().join("final/main").join(&file.id)).expect("its content");
        (store, file)
    };
    let (store, file) = lose_the_content_of_a_file();
    let server = Server::start_on(&store, &["--log-format", "json"]);
    let failed = server.ask(&format!("GET {}", file.path()), &[]);
    let id = failed.head.field("x-request-id").expect("an id");
    assert_eq!(failed.expect_problem(500, "internal")["request_id"], id);
    let fault = line(&server, "what the store says", |line| line["message"] == "storage failed");
    assert_eq!(fault["span"]["request"], id, "{fault}");
    assert!(fault["error"].as_str().is_some_and(|error| error.contains("missing")), "{fault}");
    drop(server);

    // Also where only errors are logged, and for people.
    let (store, file) = lose_the_content_of_a_file();
    let server = Server::start_on(&store, &["--log", "error"]);
    let failed = server.ask(&format!("GET {}", file.path()), &[]);
    let id = failed.head.field("x-request-id").expect("an id");
    eventually("the line of the failure", || {
        server.log().lines().any(|line| line.contains("storage failed") && line.contains(id)).then_some(())
    });
}
