//! What an operator sets for sessions: sizes of parts, and how long a session may take.

use crate::fixture::session::post;
use crate::fixture::{Pattern, Server, Session, eventually};
use serde_json::json;

#[test]
fn sizes_of_parts_are_those_configured() {
    let server = Server::start(&["--part-size", "1000B", "--part-size-min", "100B", "--part-size-max", "2000B"]);
    let content = Pattern::new(1, 2_500);
    let document = json!({"original_filename": "part by part", "total_size_bytes": content.size()}).to_string();
    let session = Session::of(&post(server.addr, "/uploads/sessions", &document), &content);
    assert_eq!(session.part_size, 1_000);
    (1..=3).for_each(|number| session.put(&server, number));
    let file = session.finish(&server);
    server.expect_file(&file);

    for size in [100, 2_000] {
        let session = Session::begin(&server, &content, size);
        assert_eq!(session.part_size, size);
    }
    for (size, bound) in [(99, "at least 100 bytes"), (2_001, "at most 2000 bytes"), (0, "at least 100 bytes")] {
        let refused = Session::try_begin(&server, &content, size, json!({}));
        let problem = refused.expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], "chunk_size_bytes");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(bound)), "{problem}");
    }
    server.finish(&[&file]);
}

#[test]
fn a_session_whose_time_is_over_has_failed() {
    let server = Server::start(&["--session-ttl", "1s"]);
    let content = Pattern::new(1, 2_000);
    let session = Session::begin(&server, &content, 64 << 10);
    // It may be over before its part has come, on a machine that does other things too.
    let first = session.part(&server, 1).head.status;
    assert!(matches!(first, 201 | 410), "{first}");
    eventually("the end of its time", || (session.status(&server)["status"] == "FAILED").then_some(()));
    session.part(&server, 1).expect_problem(410, "gone");
    session.finalize(server.addr).expect_problem(410, "gone");
    server.ask(&format!("DELETE {}", session.part_path(1)), &[]).expect_problem(410, "gone");
    // Whoever does not want to wait for the maintenance ends it.
    assert_eq!(session.abort(&server).head.status, 204);
    server.finish(&[]);
}
