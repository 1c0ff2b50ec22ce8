//! Heads of requests that are malformed, huge, or not HTTP at all.

use crate::fixture::{Pattern, Server, Stored};

/// Sends these bytes; the server must answer with that status, end the connection, and go on.
fn refused(server: &Server, bytes: impl AsRef<[u8]>, status: u16) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    let mut connection = server.connect();
    // It may have been refused before all of it was sent.
    let _ = connection.try_send(bytes);
    let response = connection.response();
    assert_eq!(response.head.status, status, "{shown:?}");
    assert_eq!(response.head.field("connection"), Some("close"), "{shown:?}");
    connection.expect_end();
}

#[test]
fn what_is_not_http_is_refused() {
    let server = Server::start(&[]);
    let tls = [b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".as_slice(), &[0; 160]].concat();
    for bytes in [
        b"GET /files/x\r\n\r\n".as_slice(),
        b"GET /files/x \r\nHost: localhost\r\n\r\n",
        b"GET /files/x HTTP/0.9\r\nHost: localhost\r\n\r\n",
        b"GET /files/x HTTP/1.2\r\nHost: localhost\r\n\r\n",
        b"GET /files/x HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /files/x http/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /files/x HTTP/1.1x\r\nHost: localhost\r\n\r\n",
        b"GET  /files/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        &tls,
    ] {
        refused(&server, bytes, 400);
    }
    server.finish(&[]);
}

#[test]
fn bad_methods_and_fields_are_refused() {
    let server = Server::start(&[]);
    for line in ["GE T /files/x", "G\0T /files/x", "G{T /files/x", " GET /files/x", "/files/x GET"] {
        refused(&server, format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    }
    for field in [
        "X-A : b",
        "X-A: b\r\n c",
        "X-A: b\0c",
        "X-A: b\rX-B: c",
        "X-A",
        "X A: b",
        ": b",
        "X-\u{e4}: b",
        "Content-Length : 3",
    ] {
        refused(&server, format!("GET /files/x HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n"), 400);
    }
    // A method that nobody knows, however long, is a method.
    let response = server.ask(&format!("{} /files/x", "G".repeat(10_000)), &[]);
    response.expect_problem(405, "method-not-allowed");
    server.finish(&[]);
}

#[test]
fn huge_heads_are_refused_and_cost_little() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let fits = "y".repeat(60_000);
    connection.ask("GET /files/x", &[("X-Long", &fits)]).expect_problem(404, "not-found");
    connection.ask(&format!("GET /files/{fits}"), &[]).expect_problem(404, "not-found");
    server.reset_peak();
    let before = server.peak();

    // What fits the buffer of a connection is told with a problem, what does not with a bare status.
    for length in [65_536, 300_000] {
        let response = connection.ask("GET /files/x", &[("X-Long", &"y".repeat(length))]);
        response.expect_host_problem(431);
    }
    let head = "GET /files/x HTTP/1.1\r\nHost: localhost\r\n";
    refused(&server, format!("{head}X-Long: {}\r\n\r\n", "y".repeat(2_000_000)), 431);
    refused(&server, format!("GET /files/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(66_000)), 414);
    refused(&server, "G".repeat(2_000_000), 431);
    for count in [128, 1_000, 10_000] {
        let fields: String = (0..count).map(|number| format!("X-{number}: y\r\n")).collect();
        refused(&server, format!("{head}{fields}\r\n"), 431);
    }
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more than before");

    let file = server.put("after", &Pattern::new(1, 1_000));
    server.finish(&[&file]);
}

#[test]
fn old_and_odd_forms_that_http_allows() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    // HTTP/1.0: stored, answered, and the connection ends.
    let mut connection = server.connect();
    connection.send("PUT /files/old HTTP/1.0\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n");
    connection.send(content.piece(0, 10));
    let response = connection.response();
    assert_eq!(response.head.version, "HTTP/1.0");
    let file = Stored::new(&response, &content);
    connection.expect_end();
    let mut connection = server.connect();
    connection.send(format!("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", file.path()));
    let head = connection.head();
    connection.expect_content(&head, &content, 0..10);
    connection.expect_end();

    for line in [
        format!("\r\n\r\nHEAD {} HTTP/1.1\r\nHost: localhost\r\n\r\n", file.path()),
        format!("HEAD http://localhost{} HTTP/1.1\r\nHost: localhost\r\n\r\n", file.path()),
        format!("HEAD {} HTTP/1.1\r\nhOsT:localhost\r\nX-Empty:\r\n\r\n", file.path()),
        format!("HEAD {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", file.path()),
    ] {
        let mut connection = server.connect();
        connection.send(line);
        connection.response_to_head().head.expect(200, &[("content-length", Some("10"))]);
    }
    let mut connection = server.connect();
    connection.ask("OPTIONS *", &[]).expect_problem(404, "not-found");
    connection.send("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.response().expect_problem(404, "not-found");
    server.finish(&[&file]);
}
