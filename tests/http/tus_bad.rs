//! tus with requests that are wrong, hostile, repeated or cut: each gets the status that the protocol says, nothing is lost
//! and nothing is left behind.

use crate::fixture::uploads::{OCTETS, TUS, append, appended, begin, begin_of, file_of, offset};
use crate::fixture::{Pattern, Server};

#[test]
fn lengths_that_are_none_begin_nothing() {
    let server = Server::start(&[]);
    let lengths: &[&[(&str, &str)]] = &[
        &[],
        &[("Upload-Length", "-1")],
        &[("Upload-Length", "1.5")],
        &[("Upload-Length", "")],
        &[("Upload-Length", "1e3")],
        &[("Upload-Length", "0x10")],
        &[("Upload-Length", "10 ")],
        &[("Upload-Length", "99999999999999999999999")],
        &[("Upload-Length", "9223372036854775808")],
        &[("Upload-Length", "10"), ("Upload-Length", "11")],
        &[("Upload-Length", "10"), ("Upload-Defer-Length", "1")],
        &[("Upload-Defer-Length", "0")],
        &[("Upload-Defer-Length", "2")],
        &[("Upload-Defer-Length", "true")],
    ];
    for length in lengths {
        // A blank behind a value is no part of it (RFC 9110, 5.5).
        let status = if *length == [("Upload-Length", "10 ")] { 201 } else { 400 };
        let told = server.ask("POST /tus", &[&[TUS, ("Content-Length", "0")], *length].concat());
        assert_eq!(told.head.status, status, "{length:?}");
    }
    let told = server.ask("POST /tus", &[TUS, ("Content-Length", "0"), ("Upload-Length", "5497558138881")]);
    assert_eq!(told.expect_problem(413, "too-large")["limit"], 5_497_558_138_880_u64);
    server.finish(&[]);
}

#[test]
fn metadata_that_is_none_begins_nothing() {
    let server = Server::start(&[]);
    let long = format!("filename {}", "QUFB".repeat(5_000));
    for field in
        [",", "a YQ==,", "filename YQ==,filename Yg==", "filename YQ", "filename %%%", "a b c", "ä YQ==", &*long]
    {
        let fields = [TUS, ("Content-Length", "0"), ("Upload-Length", "1"), ("Upload-Metadata", field)];
        let problem = server.ask("POST /tus", &fields).expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], "upload-metadata", "{field}");
    }
    // More than the head of a request may have.
    let huge = format!("filename {}", "QUFB".repeat(2_600_000));
    let mut connection = server.connect();
    let fields = [TUS, ("Content-Length", "0"), ("Upload-Length", "1"), ("Upload-Metadata", &*huge)];
    let _ = connection.try_request("POST /tus", &fields);
    assert!(
        connection.try_head().is_ok_and(|head| head.status == 431) || server.ask("GET /health", &[]).head.status == 200
    );
    server.finish(&[]);
}

#[test]
fn names_that_no_file_can_have_are_made_to_fit() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 1);
    let mut files = Vec::new();
    // `../../etc/passwd`, `.`, a name with a line break, and none at all.
    for (name, kept) in
        [("Li4vLi4vZXRjL3Bhc3N3ZA==", ".._.._etc_passwd"), ("Lg==", "_."), ("YQpi", "a_b"), ("", "upload")]
    {
        let metadata = format!("filename {name}");
        let upload = begin(&server, &[("Upload-Length", "1"), ("Upload-Metadata", &metadata)]);
        let response = appended(&mut server.connect(), &upload, &content, 0..1);
        let file = file_of(&upload, &response, &content);
        let head = server.ask(&format!("HEAD {}", file.path()), &[]).head;
        let disposition = head.field("content-disposition").expect("a name").to_owned();
        assert!(disposition.contains(&format!("filename=\"{kept}\"")), "{disposition}");
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn appends_that_are_none_change_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let upload = begin_of(&server, 100);
    appended(&mut server.connect(), &upload, &content, 0..10);
    for wrong in ["-1", "1.5", "", "x", "99999999999999999999", "10, 10", "0x0a"] {
        let fields = [TUS, OCTETS, ("Upload-Offset", wrong), ("Content-Length", "0")];
        let head = server.ask(&format!("PATCH {upload}"), &fields).head;
        head.expect(400, &[("upload-offset", None)]);
    }
    server.ask(&format!("PATCH {upload}"), &[TUS, OCTETS, ("Content-Length", "0")]).head.expect(400, &[]);
    for wrong in ["0", "9", "11", "100", "9223372036854775807"] {
        let fields = [TUS, OCTETS, ("Upload-Offset", wrong), ("Content-Length", "0")];
        let head = server.ask(&format!("PATCH {upload}"), &fields).head;
        // The true offset: clients take it for theirs.
        head.expect(409, &[("upload-offset", Some("10"))]);
    }
    for kind in ["text/plain", "application/octet-stream", "application/offset+octet-stream2", ""] {
        let fields = [TUS, ("Content-Type", kind), ("Upload-Offset", "10"), ("Content-Length", "0")];
        server.ask(&format!("PATCH {upload}"), &fields).head.expect(415, &[("upload-offset", None)]);
    }
    assert_eq!(offset(&server, &upload), 10);
    server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[]);
    server.finish(&[]);
}

#[test]
fn more_than_the_length_is_refused_by_its_announcement_and_by_counting() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let upload = begin_of(&server, 50);
    append(&mut server.connect(), &upload, &content, 0..100, &[]).head.expect(413, &[("upload-offset", None)]);
    assert_eq!(offset(&server, &upload), 0);
    let mut connection = server.connect();
    let fields = [TUS, OCTETS, ("Upload-Offset", "0"), ("Transfer-Encoding", "chunked")];
    connection.request(&format!("PATCH {upload}"), &fields);
    content.pieces().for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    connection.response().head.expect(413, &[("upload-offset", None)]);
    assert_eq!(offset(&server, &upload), 0);
    let response = appended(&mut server.connect(), &upload, &content, 0..50);
    let file = file_of(&upload, &response, &Pattern::new(1, 50));
    // A finished upload takes nothing more.
    append(&mut server.connect(), &upload, &content, 50..60, &[]).head.expect(413, &[]);
    append(&mut server.connect(), &upload, &content, 40..50, &[]).head.expect(409, &[("upload-offset", Some("50"))]);
    drop(file);
    server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[]);
    server.finish(&[]);
}

#[test]
fn a_creation_with_other_content_begins_nothing() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let fields = [TUS, ("Content-Type", "text/plain"), ("Upload-Length", "10"), ("Content-Length", "4")];
    connection.request("POST /tus", &fields);
    connection.send(b"text");
    connection.response().expect_problem(415, "unsupported-media-type");
    let mut connection = server.connect();
    connection.request("POST /tus", &[TUS, OCTETS, ("Upload-Length", "3"), ("Content-Length", "4")]);
    connection.send(b"text");
    connection.response().expect_problem(413, "too-large");
    server.finish(&[]);
}

#[test]
fn uploads_that_are_none_are_not_found() {
    let server = Server::start(&[]);
    let session = server.ask("GET /uploads/sessions/0123456789abcdef0123456789abcdef", &[]);
    assert_eq!(session.head.status, 404);
    for path in [
        "/tus/0123456789abcdef0123456789abcdef",
        "/tus/x",
        "/tus/..",
        "/tus/%2e%2e",
        "/tus/0123456789ABCDEF0123456789ABCDEF",
        "/resumable/0123456789abcdef0123456789abcdef",
    ] {
        for method in ["HEAD", "PATCH", "DELETE"] {
            let fields = [TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", "0")];
            let head = server.ask(&format!("{method} {path}"), &fields).head;
            head.expect(404, &[("upload-offset", None)]);
        }
        assert_eq!(server.ask(&format!("GET {path}"), &[]).head.status, 404, "{path}");
    }
    for (method, path) in [("PUT", "/tus"), ("GET", "/tus"), ("DELETE", "/tus"), ("POST", "/tus/a/b")] {
        let head = server.ask(&format!("{method} {path}"), &[TUS, ("Content-Length", "0")]).head;
        assert!(matches!(head.status, 404 | 405), "{method} {path}: {head:?}");
    }
    server.finish(&[]);
}

#[test]
fn an_upload_of_one_protocol_is_known_to_the_others() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let upload = begin_of(&server, 100);
    appended(&mut server.connect(), &upload, &content, 0..40);
    let id = upload.strip_prefix("/tus/").expect("a path");
    let session = format!("/uploads/sessions/{id}");
    let status = server.ask(&format!("GET {session}"), &[]).json();
    assert_eq!((&status["status"], &status["received_bytes"]), (&"IN_PROGRESS".into(), &40.into()));
    assert_eq!(status["total_size_bytes"], 100);
    // It has no numbered parts, and is not complete.
    let mut connection = server.connect();
    connection.send_put(&format!("{session}/parts/1"), &[], &Pattern::new(1, 10));
    connection.response().expect_problem(403, "other-kind");
    let finalize = server.ask(&format!("POST {session}/finalize"), &[("Content-Length", "0")]);
    finalize.expect_problem(400, "incomplete-upload");
    let response = appended(&mut server.connect(), &format!("/resumable/{id}"), &content, 40..100);
    let file = file_of(&upload, &response, &content);
    let finalize = server.ask(&format!("POST {session}/finalize"), &[("Content-Length", "0")]);
    assert_eq!((finalize.head.status, finalize.json()["file_id"].as_str()), (200, Some(&*file.id)));
    // Aborted there, it is over here.
    let other = begin_of(&server, 100);
    let id = other.strip_prefix("/tus/").expect("a path");
    server.ask(&format!("DELETE /uploads/sessions/{id}"), &[]).head.expect(204, &[]);
    server.ask(&format!("HEAD {other}"), &[TUS]).head.expect(404, &[]);
    server.finish(&[&file]);
}

#[test]
fn a_session_with_parts_is_looked_at_and_aborted_by_tus() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 * crate::fixture::session::PART);
    let session = crate::fixture::Session::begin(&server, &content, crate::fixture::session::PART);
    session.put(&server, 1);
    session.put(&server, 3);
    let upload = session.path().replace("/uploads/sessions/", "/tus/");
    let part = crate::fixture::session::PART.to_string();
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]).head;
    head.expect(200, &[("upload-offset", Some(&*part)), ("upload-length", Some(&*content.size().to_string()))]);
    append(&mut server.connect(), &upload, &content, 0..0, &[]).head.expect(403, &[("upload-offset", None)]);
    server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[]);
    server.finish(&[]);
}
