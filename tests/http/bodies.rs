//! Bodies that are not what they were announced to be.

use crate::fixture::{Connection, Pattern, Server, Stored};

#[test]
fn a_truncated_body_leaves_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 << 20);
    for sent in [0, 1, 65_537, 600 << 10, (3 << 20) - 1] {
        let mut connection = server.connect();
        connection.request("PUT /files/cut", &[("Content-Length", &content.size().to_string())]);
        content.pieces_of(0..sent).for_each(|piece| connection.send(piece));
        // Half-closed, it can still be told.
        connection.half_close();
        let refused = connection.response().expect_problem(400, "interrupted");
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(&format!("{sent} bytes arrived")), "{detail}");
        connection.expect_end();
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

/// Begins a chunked body with these bytes, as they are.
fn chunked(server: &Server, body: &[u8]) -> Connection {
    let mut connection = server.connect();
    connection.request("PUT /files/chunked", &[("Transfer-Encoding", "chunked")]);
    connection.send(body);
    connection
}

#[test]
fn a_chunked_body_without_its_end_leaves_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 200_000);
    for end in ["", "5\r\nab", "0\r\n", "0", "\r\n"] {
        let mut connection = chunked(&server, b"");
        connection.send_chunk(content.piece(0, 100_000));
        connection.send_chunk(content.piece(100_000, 100_000));
        connection.send(end);
        connection.half_close();
        connection.response().expect_problem(400, "interrupted");
        connection.expect_end();
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

#[test]
fn malformed_chunks_leave_nothing() {
    let server = Server::start(&[]);
    let long_extension = [b"5;".as_slice(), &[b'x'; 70_000], b"\r\nabcde\r\n0\r\n\r\n"].concat();
    let many_trailers = format!("5\r\nabcde\r\n0\r\n{}\r\n", "T: x\r\n".repeat(3_000));
    for body in [
        b"xyz\r\nab".as_slice(),
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b" 5\r\nabcde\r\n0\r\n\r\n",
        b"5\nabcde\n0\n\n",
        b"5\r\nabcdeX0\r\n\r\n",
        b"5\r\nabcdefgh\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nabcde",
        b"\r\n5\r\nabcde\r\n0\r\n\r\n",
        &long_extension,
        many_trailers.as_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(30)]);
        let mut connection = chunked(&server, body);
        let refused = connection.response();
        refused.expect_problem(400, "interrupted");
        assert_eq!(refused.head.field("connection"), Some("close"), "{shown}");
        connection.expect_end();
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

#[test]
fn extensions_of_chunks_and_trailers_are_no_content() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 5);
    let bytes = content.piece(0, 5);
    let mut files = Vec::new();
    for (before, after) in [
        ("5;a=\"b\"\r\n", "\r\n0\r\n\r\n"),
        ("5\r\n", "\r\n0\r\nX-Trailer: x\r\n\r\n"),
        ("0005\r\n", "\r\n000\r\n\r\n"),
    ] {
        let mut connection = chunked(&server, &[before.as_bytes(), bytes, after.as_bytes()].concat());
        files.push(Stored::new(&connection.response(), &content));
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_body_longer_than_announced_is_another_request() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100_000);
    let mut connection = server.connect();
    connection.send_put("/files/first", &[], &content);
    connection.send(b"\x00\xffgarbage\r\n\r\nmore of it");
    let first = Stored::new(&connection.response(), &content);
    assert_eq!(connection.response().head.status, 400);
    connection.expect_end();

    // What follows a body is the next request, in its order.
    let mut connection = server.connect();
    connection.send_put("/files/second", &[], &content);
    connection.send_put("/files/third", &[], &Pattern::new(2, 1));
    connection.request("HEAD /files/nothing", &[]);
    connection.request(&format!("GET {}", first.path()), &[]);
    let second = Stored::new(&connection.response(), &content);
    let third = Stored::new(&connection.response(), &Pattern::new(2, 1));
    assert_eq!(connection.response_to_head().head.status, 404);
    let head = connection.head();
    connection.expect_content(&head, &content, 0..content.size());
    server.finish(&[&first, &second, &third]);
}

#[test]
fn a_length_that_is_none_is_refused() {
    let server = Server::start(&[]);
    for length in ["-1", "+5", "abc", "5 5", "5, 5", "0x5", "1e3", "", "5.0", "18446744073709551616", "\u{665}"] {
        let mut connection = server.connect();
        connection.request("PUT /files/odd", &[("Content-Length", length)]);
        assert_eq!(connection.response().head.status, 400, "{length:?}");
        connection.expect_end();
    }
    for length in ["9223372036854775807", "9223372036854775808", "18446744073709551613"] {
        let mut connection = server.connect();
        connection.request("PUT /files/odd", &[("Content-Length", length)]);
        connection.response().expect_problem(413, "too-large");
    }
    server.finish(&[]);
}

/// A second request, hidden where one reading of the first finds a body and another does not.
const SMUGGLED: &str = "PUT /files/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

#[test]
fn nothing_is_smuggled_between_two_lengths() {
    let server = Server::start(&[]);
    let length = SMUGGLED.len().to_string();
    for fields in [
        [("Content-Length", "0"), ("Content-Length", &*length)],
        [("Content-Length", &*length), ("Content-Length", "0")],
    ] {
        let mut connection = server.connect();
        connection.request("PUT /files/two", &fields);
        connection.send(SMUGGLED);
        assert_eq!(connection.response().head.status, 400);
        connection.expect_end();
    }
    server.finish(&[]);
}

#[test]
fn nothing_is_smuggled_between_a_length_and_chunks() {
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for fields in [
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "100")],
    ] {
        let content = Pattern::new(1, 3);
        let mut connection = server.connect();
        connection.request("PUT /files/both", &fields);
        connection.send_chunk(content.piece(0, 3));
        connection.end_chunks();
        connection.send(SMUGGLED);
        // The chunks count, and the connection ends with them (RFC 9112, 6.1).
        let response = connection.response();
        files.push(Stored::new(&response, &content));
        assert_eq!(response.head.field("connection"), Some("close"));
        connection.expect_end();
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn only_one_chunked_is_undone() {
    let server = Server::start(&[]);
    let body = "3\r\nabc\r\n0\r\n\r\n";
    for codings in [
        ["gzip, chunked"].as_slice(),
        &["gzip", "chunked"],
        &["chunked, chunked"],
        &["chunked", "chunked"],
        &["identity, chunked"],
    ] {
        let mut connection = server.connect();
        let fields: Vec<_> = codings.iter().map(|coding| ("Transfer-Encoding", *coding)).collect();
        connection.request("PUT /files/coded", &fields);
        connection.send(body);
        let refused = connection.response();
        refused.expect_host_problem(501);
        assert_eq!(refused.head.field("connection"), Some("close"), "{codings:?}");
        connection.expect_end();
    }
    // Where chunked does not come last, nobody knows where the body ends.
    for coding in ["chunked, gzip", "xchunked", "chunked;q=1", "\u{b}chunked", "gzip", ""] {
        let mut connection = server.connect();
        connection.request("PUT /files/coded", &[("Transfer-Encoding", coding)]);
        connection.send(body);
        assert_eq!(connection.response().head.status, 400, "{coding:?}");
        connection.expect_end();
    }
    server.finish(&[]);
}

#[test]
fn a_put_without_a_body_is_an_empty_file() {
    let server = Server::start(&[]);
    let empty = Pattern::new(0, 0);
    let mut connection = server.connect();
    let file = Stored::new(&connection.ask("PUT /files/empty", &[]), &empty);
    connection.request(&format!("GET {}", file.path()), &[]);
    let head = connection.head();
    head.expect(200, &[("content-length", Some("0"))]);
    connection.expect_content(&head, &empty, 0..0);
    server.finish(&[&file]);
}

#[test]
fn content_of_http_1_0_without_a_length_is_refused() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 2 << 20);
    let put = "PUT /files/old HTTP/1.0";
    let post = "POST /files?name=old HTTP/1.0\r\nContent-Type: text/plain";
    for (line, keep) in [(put, ""), (put, "Connection: keep-alive\r\n"), (post, "")] {
        let mut connection = server.connect();
        connection.send(format!("{line}\r\nHost: {}\r\n{keep}\r\n", server.addr));
        // All of it: what it is told is not lost by that.
        content.pieces().for_each(|piece| connection.send(piece));
        connection.half_close();
        let refused = connection.response();
        refused.expect_host_problem(411);
        assert_eq!(refused.head.field("connection").unwrap_or("close"), "close");
        connection.expect_end();
    }
    let mut connection = server.connect();
    let length = content.size();
    connection.send(format!("PUT /files/old HTTP/1.0\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n", server.addr));
    content.pieces().for_each(|piece| connection.send(piece));
    let file = Stored::new(&connection.response(), &content);
    // What has no content needs no length.
    let mut connection = server.connect();
    connection.send(format!("POST /uploads/sessions/x/finalize HTTP/1.0\r\nHost: {}\r\n\r\n", server.addr));
    connection.response().expect_problem(404, "not-found");
    server.finish(&[&file]);
}

#[test]
fn a_body_that_nobody_wants_costs_the_connection_and_nothing_else() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    connection.request("GET /files/nothing", &[("Content-Length", "5")]);
    connection.send("abcde");
    connection.send(SMUGGLED);
    let response = connection.response();
    response.expect_problem(404, "not-found");
    assert_eq!(response.head.field("connection"), Some("close"));
    connection.expect_end();
    server.finish(&[]);
}
