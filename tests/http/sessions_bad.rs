//! Sessions, and what clients send that is wrong: each is told so, in one way, and nothing comes of it.

use crate::fixture::session::{PART, post};
use crate::fixture::{Pattern, Server, Session};
use serde_json::json;

#[test]
fn documents_that_are_none() {
    let server = Server::start(&[]);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_member = format!("{{\"original_filename\":\"a\",\"total_size_bytes\":1,\"x\":{deep}}}");
    for document in
        ["", " ", "{", "{}}", "[]", "null", "1", "\"text\"", "{\"a\":}", "\u{feff}{}", "{'a':1}", &deep, &deep_member]
    {
        let problem = post(server.addr, "/uploads/sessions", document).expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], "body", "{:?}", &document[..document.len().min(40)]);
    }
    let huge = format!("{{\"original_filename\":\"{}\"}}", "a".repeat(70_000));
    let problem = post(server.addr, "/uploads/sessions", &huge).expect_problem(413, "too-large");
    assert_eq!(problem["limit"], 65_536);

    for content_type in [None, Some("text/plain"), Some("application/jsonp"), Some("")] {
        let mut fields = vec![("Content-Length", "2")];
        fields.extend(content_type.map(|text| ("Content-Type", text)));
        let mut connection = server.connect();
        connection.request("POST /uploads/sessions", &fields);
        connection.send("{}");
        connection.response().expect_problem(415, "unsupported-media-type");
    }
    server.finish(&[]);
}

#[test]
fn members_that_are_wrong() {
    let server = Server::start(&[]);
    let long = "n".repeat(256);
    let name = |name: &str| json!({"original_filename": name, "total_size_bytes": 1});
    let size = |size: serde_json::Value| json!({"original_filename": "a", "total_size_bytes": size});
    let with = |member: &str, value: serde_json::Value| json!({"original_filename": "a", "total_size_bytes": 10_000_000, member: value});
    for (document, field) in [
        (json!({"total_size_bytes": 1}), "original_filename"),
        (json!({"original_filename": null, "total_size_bytes": 1}), "original_filename"),
        (json!({"original_filename": 1, "total_size_bytes": 1}), "original_filename"),
        (name(""), "original_filename"),
        (name(&long), "original_filename"),
        (name("../../etc/passwd"), "original_filename"),
        (name("a/b"), "original_filename"),
        (name(".."), "original_filename"),
        (name("a\u{0}b"), "original_filename"),
        (name("a\r\nSet-Cookie: x"), "original_filename"),
        (name("\u{1b}[2J"), "original_filename"),
        (json!({"original_filename": "a"}), "total_size_bytes"),
        (size(json!(-1)), "total_size_bytes"),
        (size(json!(1.5)), "total_size_bytes"),
        (size(json!("1")), "total_size_bytes"),
        (size(json!(9_223_372_036_854_775_808_u64)), "total_size_bytes"),
        (size(json!([1])), "total_size_bytes"),
        (with("chunk_size_bytes", json!(0)), "chunk_size_bytes"),
        (with("chunk_size_bytes", json!(-1)), "chunk_size_bytes"),
        (with("chunk_size_bytes", json!(PART - 1)), "chunk_size_bytes"),
        (with("chunk_size_bytes", json!((5_u64 << 30) + 1)), "chunk_size_bytes"),
        (with("chunk_size_bytes", json!(true)), "chunk_size_bytes"),
        (with("content_type", json!("no type")), "content_type"),
        (with("content_type", json!("text/plain\r\nX: y")), "content_type"),
        (with("content_type", json!(7)), "content_type"),
        (with("sha256", json!("00")), "sha256"),
        (with("sha256", json!("g".repeat(64))), "sha256"),
        (with("sha256", json!([])), "sha256"),
        (with("idempotency_key", json!("")), "idempotency_key"),
        (with("idempotency_key", json!("k".repeat(256))), "idempotency_key"),
        (with("idempotency_key", json!(1)), "idempotency_key"),
    ] {
        let document = document.to_string();
        let problem = post(server.addr, "/uploads/sessions", &document).expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], field, "{document}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{document}");
    }
    // Too many parts, and too much of a file.
    let many = json!({"original_filename": "a", "total_size_bytes": 10_001 * PART, "chunk_size_bytes": PART});
    let problem = post(server.addr, "/uploads/sessions", &many.to_string()).expect_problem(400, "invalid-request");
    assert_eq!(problem["field"], "chunk_size_bytes");
    let large = json!({"original_filename": "a", "total_size_bytes": (5_u64 << 40) + 1}).to_string();
    let problem = post(server.addr, "/uploads/sessions", &large).expect_problem(413, "too-large");
    assert_eq!((&problem["field"], &problem["limit"]), (&json!("total_size_bytes"), &json!(5_u64 << 40)));
    server.finish(&[]);
}

#[test]
fn names_that_are_odd_are_kept_and_do_no_harm() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let mut files = Vec::new();
    for name in ["a \"b\".txt", "back\\slash", "\u{202e}cod.exe", "naïve", "%2e%2e", "...", ".hidden", " ", "日本"] {
        let session = Session::begin_with(&server, &content, PART, json!({"original_filename": name}));
        session.put(&server, 1);
        let response = session.finalize(server.addr);
        assert_eq!(response.json()["original_filename"], name);
        let file = crate::fixture::Stored::new(&response, &content);
        let head = server.ask(&format!("HEAD {}", file.path()), &[]).head;
        let disposition = head.field("content-disposition").expect("a field");
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.is_ascii(), "{disposition}");
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn numbers_of_parts_that_are_none() {
    let server = Server::start(&[]);
    let session = Session::begin(&server, &Pattern::new(1, 3 * PART), PART);
    for number in ["0", "-1", "4", "4294967296", "18446744073709551617", "1.0", "01", "+1", "one", "%31", "1%00", "٣"]
    {
        for method in ["PUT", "DELETE"] {
            let mut connection = server.connect();
            let target = format!("{method} {}/parts/{number}", session.path());
            let response = if method == "PUT" {
                connection.request(&target, &[("Content-Length", "65536"), ("Expect", "100-continue")]);
                connection.response()
            } else {
                connection.ask(&target, &[])
            };
            // What is no target of HTTP the host refuses.
            if number.is_ascii() {
                assert_eq!(response.expect_problem(400, "invalid-request")["field"], "part_number", "{number}");
            } else {
                assert_eq!(response.head.status, 400, "{number}");
            }
        }
    }
    let empty = Session::begin(&server, &Pattern::new(1, 0), PART);
    let refused = server.connect().ask(&format!("PUT {}", empty.part_path(1)), &[("Content-Length", "0")]);
    assert_eq!(refused.expect_problem(400, "invalid-request")["field"], "part_number");
    let file = empty.finish(&server);
    server.finish(&[&file]);
}

#[test]
fn sessions_that_are_none() {
    let server = Server::start(&[]);
    let session = Session::begin(&server, &Pattern::new(1, PART), PART);
    let upper = session.id.to_uppercase();
    let other = "0".repeat(32);
    for id in ["", "x", "..", "%2e%2e", &*other, &upper, &format!("{}0", session.id), "%00", &"a".repeat(5_000)] {
        let base = format!("/uploads/sessions/{id}");
        let length = [("Content-Length", "0")];
        for (method, path) in
            [("GET", ""), ("DELETE", ""), ("PUT", "/parts/1"), ("DELETE", "/parts/1"), ("POST", "/finalize")]
        {
            let fields = if matches!(method, "PUT" | "POST") { &length[..] } else { &[] };
            let response = server.ask(&format!("{method} {base}{path}"), fields);
            response.expect_problem(404, "not-found");
        }
    }
    for (line, allowed) in [
        ("GET /uploads/sessions".to_owned(), "POST, OPTIONS"),
        (format!("PUT {}", session.path()), "GET, HEAD, DELETE, OPTIONS"),
        (format!("GET {}", session.part_path(1)), "PUT, DELETE, OPTIONS"),
        (format!("GET {}/finalize", session.path()), "POST, OPTIONS"),
    ] {
        let response = server.ask(&line, &[("Content-Length", "0")]);
        response.expect_problem(405, "method-not-allowed");
        assert_eq!(response.head.field("allow"), Some(allowed), "{line}");
    }
    server.finish(&[]);
}

#[test]
fn parts_that_are_coded_or_pieces_are_refused() {
    let server = Server::start(&[]);
    let session = Session::begin(&server, &Pattern::new(1, PART), PART);
    let put = |fields: &[(&str, &str)]| session.try_part(&mut server.connect(), 1, fields).expect("an answer");
    put(&[("Content-Encoding", "gzip")]).expect_problem(415, "unsupported-coding");
    let piece = put(&[("Content-Range", "bytes 0-9/65536")]).expect_problem(400, "invalid-request");
    assert_eq!(piece["field"], "content-range");
    session.put(&server, 1);
    let file = session.finish(&server);
    server.finish(&[&file]);
}
