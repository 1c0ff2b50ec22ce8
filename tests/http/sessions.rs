//! Upload sessions: files that come in numbered parts.

use crate::fixture::session::{PART, post};
use crate::fixture::stored::expect_receipt;
use crate::fixture::{Connection, Pattern, Server, Session, Stored, eventually};
use serde_json::{Value, json};

/// What is told of a session whose parts these are.
fn told(session: &Session, status: &str, parts: &Value, bytes: u64) -> Value {
    json!({
        "session_id": session.id,
        "status": status,
        "original_filename": "part by part",
        "content_type": "application/octet-stream",
        "total_size_bytes": session.content.size(),
        "chunk_size_bytes": session.part_size,
        "total_parts": session.parts(),
        "received_parts": parts,
        "received_bytes": bytes,
    })
}

/// Compares what is told, but for the times and the id of the file.
#[track_caller]
fn expect_told(server: &Server, session: &Session, status: &str, parts: &Value, bytes: u64) {
    let mut answer = session.status(server);
    let members = answer.as_object_mut().expect("an object");
    let times = ["created_at", "expires_at"].map(|name| members.remove(name).expect("a time").to_string());
    assert!(times[0] < times[1] && times[1].ends_with("Z\""), "{times:?}");
    assert_eq!(members.remove("file_id").is_some(), status == "COMPLETE");
    assert_eq!(answer, told(session, status, parts, bytes));
}

#[test]
fn a_file_comes_part_by_part_in_any_order() {
    let server = Server::start(&[]);
    let orders: [&[u64]; 4] = [&[1, 2, 3, 4], &[4, 3, 2, 1], &[2, 4, 1, 3], &[3, 1, 4, 2]];
    let mut files = Vec::new();
    for (seed, order) in (0..).zip(orders) {
        let content = Pattern::new(seed, 3 * PART + 1_000);
        let session = Session::begin(&server, &content, PART);
        expect_told(&server, &session, "INIT", &json!([]), 0);
        for number in order {
            session.put(&server, *number);
        }
        expect_told(&server, &session, "IN_PROGRESS", &json!([[1, 4]]), content.size());
        let response = session.finalize(server.addr);
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, "application/octet-stream", "part by part");
        server.expect_file(&file);
        expect_told(&server, &session, "COMPLETE", &json!([[1, 4]]), content.size());
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn an_empty_type_is_as_good_as_none() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 1_000);
    let mut files = Vec::new();
    for (given, kept) in [
        (json!({}), "application/octet-stream"),
        (json!({"content_type": null}), "application/octet-stream"),
        (json!({"content_type": ""}), "application/octet-stream"),
        (json!({"content_type": " \t"}), "application/octet-stream"),
        (json!({"content_type": "text/plain"}), "text/plain"),
    ] {
        let session = Session::begin_with(&server, &content, PART, given);
        assert_eq!(session.status(&server)["content_type"], kept);
        session.put(&server, 1);
        let response = session.finalize(server.addr);
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, kept, "part by part");
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn sizes_at_the_bounds_of_parts() {
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for (seed, size) in (0..).zip([0, 1, PART - 1, PART, PART + 1, 5 * PART - 1, 5 * PART, 5 * PART + 1]) {
        let session = Session::begin(&server, &Pattern::new(seed, size), PART);
        for number in 1..=session.parts() {
            session.put(&server, number);
        }
        let beyond = format!("PUT {}", session.part_path(session.parts() + 1));
        let refused = server.ask(&beyond, &[("Content-Length", "0")]).expect_problem(400, "invalid-request");
        assert_eq!(refused["field"], "part_number");
        files.push(session.finish(&server));
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn parts_of_several_pieces_come_in_parallel() {
    const SIZE: u64 = 24 << 20;
    let server = Server::start(&[]);
    let content = Pattern::new(1, SIZE);
    let response = Session::try_begin(&server, &content, 5 << 20, json!({"sha256": content.sha256_hex()}));
    let session = Session::of(&response, &content);
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let (session, server) = (&session, &server);
            scope.spawn(move || (1..=session.parts()).filter(|n| n % 4 == lane).for_each(|n| session.put(server, n)));
        }
    });
    let file = session.finish(&server);
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn the_server_chooses_the_size_of_parts() {
    let server = Server::start(&[]);
    for (size, part) in [(0_u64, 5_u64 << 20), (1, 5 << 20), (1 << 40, 105 << 20)] {
        let document = json!({"original_filename": "a", "total_size_bytes": size}).to_string();
        let response = post(server.addr, "/uploads/sessions", &document);
        assert_eq!(response.head.status, 201);
        assert_eq!(response.json()["chunk_size_bytes"], part, "{size}");
    }
    server.finish(&[]);
}

#[test]
fn what_was_sent_before_is_known_and_other_content_is_refused() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 2 * PART + 10);
    let other = Pattern::new(2, 2 * PART + 10);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 2);
    let again = session.part(&server, 2);
    assert_eq!((again.head.status, again.json()), (200, json!({"part_number": 2, "size_bytes": PART})));
    let mut connection = server.connect();
    let refused = session.try_part_of(&mut connection, 2, &[], &other).expect("an answer");
    refused.expect_problem(409, "part-conflict");
    expect_told(&server, &session, "IN_PROGRESS", &json!([[2, 2]]), PART);

    // A part that was deleted may come again with other content.
    for _ in 0..2 {
        assert_eq!(server.ask(&format!("DELETE {}", session.part_path(2)), &[]).head.status, 204);
        expect_told(&server, &session, "INIT", &json!([]), 0);
    }
    let session = Session { content: other.clone(), ..session };
    (1..=3).for_each(|number| session.put(&server, number));
    let file = session.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn a_part_has_its_size_and_no_other() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, PART + 10);
    let session = Session::begin(&server, &content, PART);
    for (number, size) in [(1, PART - 1), (1, PART + 1), (1, 0), (2, PART), (2, 9), (2, 11)] {
        let length = size.to_string();
        let head = [("Content-Length", &*length), ("Expect", "100-continue")];
        let mut connection = server.connect();
        connection.request(&format!("PUT {}", session.part_path(number)), &head);
        let refused = connection.response();
        assert_eq!(refused.expect_problem(400, "size-mismatch")["field"], "content-length", "{number} {size}");
        // Without an announced length it shows when the content has come.
        let mut connection = server.connect();
        connection.request(&format!("PUT {}", session.part_path(number)), &[("Transfer-Encoding", "chunked")]);
        if size > 0 {
            connection.send_chunk(&vec![7; size as usize]);
        }
        connection.end_chunks();
        connection.response().expect_problem(400, "size-mismatch");
    }
    expect_told(&server, &session, "INIT", &json!([]), 0);
    let mut connection = server.connect();
    connection.request(&format!("PUT {}", session.part_path(1)), &[("Transfer-Encoding", "chunked")]);
    content.pieces_of(0..PART).for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    assert_eq!(connection.response().head.status, 201);
    session.put(&server, 2);
    let file = session.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn digests_of_parts_are_checked_and_told() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, PART);
    let session = Session::begin(&server, &content, PART);
    let mut connection = server.connect();
    let wrong = Pattern::new(2, PART).digest_field();
    for field in ["Content-Digest", "Repr-Digest"] {
        let refused = session.try_part(&mut connection, 1, &[(field, &wrong)]).expect("an answer");
        refused.expect_problem(422, "digest-mismatch");
    }
    let refused = session.try_part(&mut server.connect(), 1, &[("Content-Digest", "sha-256=:AAAA:")]);
    assert_eq!(refused.expect("an answer").expect_problem(400, "invalid-request")["field"], "content-digest");
    expect_told(&server, &session, "INIT", &json!([]), 0);

    let whole = json!({"part_number": 1, "size_bytes": PART, "sha256": content.sha256_hex()});
    let right = content.digest_field();
    for (field, value) in [
        ("Content-Digest", &*right),
        ("Repr-Digest", &right),
        ("Want-Content-Digest", "sha-256=1"),
        ("Want-Repr-Digest", "sha-256=3"),
    ] {
        let response = session.try_part(&mut connection, 1, &[(field, value)]).expect("an answer");
        assert_eq!(response.head.status, 201, "{field}");
        assert_eq!(response.json(), whole, "{field}");
        let again = session.try_part(&mut connection, 1, &[(field, value)]).expect("an answer");
        assert_eq!((again.head.status, again.json()), (200, whole.clone()), "{field}");
        assert_eq!(connection.ask(&format!("DELETE {}", session.part_path(1)), &[]).head.status, 204);
    }
    session.put(&server, 1);
    let file = session.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn a_file_is_made_of_all_its_parts_and_once() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 5 * PART);
    let session = Session::begin(&server, &content, PART);
    let missing = |runs: Value| {
        let problem = session.finalize(server.addr).expect_problem(400, "incomplete-upload");
        assert_eq!(problem["missing_parts"], runs);
    };
    missing(json!([[1, 5]]));
    session.put(&server, 3);
    missing(json!([[1, 2], [4, 5]]));
    session.put(&server, 1);
    session.put(&server, 5);
    missing(json!([[2, 2], [4, 4]]));
    session.put(&server, 2);
    session.put(&server, 4);
    let first = session.finalize(server.addr);
    let file = Stored::new(&first, &content);
    for _ in 0..2 {
        let again = session.finalize(server.addr);
        assert_eq!((again.head.status, again.json()), (200, first.json()));
    }
    session.part(&server, 1).expect_problem(409, "session-complete");
    session.abort(&server).expect_problem(409, "session-complete");
    let deleted = server.ask(&format!("DELETE {}", session.part_path(1)), &[]);
    deleted.expect_problem(409, "session-complete");
    server.expect_files(&[&file]);

    assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    session.finalize(server.addr).expect_problem(410, "gone");
    session.part(&server, 1).expect_problem(410, "gone");
    session.abort(&server).expect_problem(410, "gone");
    assert_eq!(session.status(&server)["status"], "COMPLETE");
    server.finish(&[]);
}

#[test]
fn a_wrong_digest_of_the_whole_leaves_the_session_open() {
    let server = Server::start(&[]);
    let (content, other) = (Pattern::new(1, 2 * PART), Pattern::new(2, 2 * PART));
    let session = Session::begin_with(&server, &content, PART, json!({"sha256": content.sha256_hex().to_uppercase()}));
    let wrong = Session { content: other, ..session.clone() };
    session.put(&server, 1);
    wrong.put(&server, 2);
    for _ in 0..2 {
        session.finalize(server.addr).expect_problem(422, "digest-mismatch");
        let answer = session.status(&server);
        assert_eq!((&answer["status"], &answer["received_parts"]), (&json!("IN_PROGRESS"), &json!([[1, 2]])));
        assert_eq!(answer["sha256"], content.sha256_hex());
    }
    assert_eq!(server.ask(&format!("DELETE {}", session.part_path(2)), &[]).head.status, 204);
    session.put(&server, 2);
    let file = session.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn an_aborted_session_is_over() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 * PART);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 2);
    for _ in 0..2 {
        assert_eq!(session.abort(&server).head.status, 204);
        expect_told(&server, &session, "ABORTED", &json!([]), 0);
    }
    session.part(&server, 1).expect_problem(410, "gone");
    session.finalize(server.addr).expect_problem(410, "gone");
    server.ask(&format!("DELETE {}", session.part_path(2)), &[]).expect_problem(410, "gone");
    server.finish(&[]);
}

#[test]
fn a_key_makes_a_session_once() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, PART);
    let key = |name: &str| json!({"idempotency_key": name});
    let first = Session::try_begin(&server, &content, PART, key("one"));
    assert_eq!(first.head.status, 201);
    let again = Session::try_begin(&server, &content, PART, key("one"));
    assert_eq!((again.head.status, again.json()), (200, first.json()));
    let session = Session::of(&again, &content);
    let other = Session::try_begin(&server, &Pattern::new(1, PART + 1), PART, key("one"));
    assert_eq!(other.expect_problem(409, "idempotency-key-reused")["field"], "idempotency_key");
    assert_ne!(Session::begin_with(&server, &content, PART, key("two")).id, session.id);

    // It tells how the session stands, to its end.
    session.put(&server, 1);
    let file = session.finish(&server);
    let ended = Session::try_begin(&server, &content, PART, key("one"));
    assert_eq!((ended.head.status, &ended.json()["status"]), (200, &json!("COMPLETE")));
    assert_eq!(ended.json()["file_id"], file.id);
    server.finish(&[&file]);
}

#[test]
fn a_part_that_is_cut_off_is_not_there() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 30 << 20);
    let session = Session::begin(&server, &content, 15 << 20);
    session.put(&server, 1);
    let mut connection = server.connect();
    connection.request(&format!("PUT {}", session.part_path(2)), &[("Content-Length", "15728640")]);
    content.pieces_of(15 << 20..27 << 20).for_each(|piece| connection.send(piece));
    connection.reset();
    eventually("the end of the cut request", || {
        let log = server.log();
        log.lines().any(|line| line.contains("cut=true") || line.contains("parts/2")).then_some(())
    });
    expect_told(&server, &session, "IN_PROGRESS", &json!([[1, 1]]), 15 << 20);
    session.put(&server, 2);
    let file = session.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn files_are_listed_a_page_at_a_time() {
    let server = Server::start(&[]);
    let empty = server.ask("GET /files", &[]);
    assert_eq!((empty.head.status, empty.json()), (200, json!({"files": [], "next": null})));
    let mut files: Vec<Stored> = (0..7).map(|seed| server.put("listed", &Pattern::new(seed, seed * 10))).collect();
    files.sort_by(|a, b| a.id.cmp(&b.id));
    for limit in [1, 2, 3, 7, 1_000] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = server.ask(&format!("GET /files?limit={limit}{after}"), &[]).json();
            let entries = page["files"].as_array().expect("a list");
            assert!(entries.len() <= limit);
            seen.extend(entries.iter().map(|file| (file["file_id"].clone(), file["sha256"].clone())));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let expected: Vec<_> = files.iter().map(|file| (json!(file.id), json!(file.content.sha256_hex()))).collect();
        assert_eq!(seen, expected, "{limit}");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("after=x", "after"),
        ("after=", "after"),
        ("after=%ff", "after"),
    ] {
        let problem = server.ask(&format!("GET /files?{query}"), &[]).expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], field, "{query}");
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn the_interface_tells_what_it_is() {
    let server = Server::start(&[]);
    let mut connection = Connection::open(server.addr);
    connection.request("GET /openapi.json", &[]);
    let head = connection.head();
    head.expect(200, &[("content-type", Some("application/json"))]);
    let mut text = Vec::new();
    connection.body(&head, |_, bytes| text.extend_from_slice(bytes)).expect("the whole of it");
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/uploads/sessions"]["post"].is_object());
    server.finish(&[]);
}
