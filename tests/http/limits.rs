//! What is too much: of bytes, of requests, of connections. A client is told early, and gets to read what it is told.

use crate::fixture::{Pattern, Server, Stored, eventually};

const LIMIT: u64 = 1 << 20;

#[test]
fn the_largest_file_fits_and_one_byte_more_does_not() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let file = server.put("largest", &Pattern::new(1, LIMIT));
    let mut connection = server.connect();
    // Not a byte of the body is sent: the answer does not wait for one.
    connection.request("PUT /files/larger", &[("Content-Length", &(LIMIT + 1).to_string())]);
    let refused = connection.response();
    assert_eq!(refused.expect_problem(413, "too-large")["limit"], LIMIT);
    assert_eq!(refused.head.field("connection"), Some("close"));
    connection.expect_end();
    server.finish(&[&file]);
}

#[test]
fn a_client_that_sends_everything_first_reads_why_it_was_refused() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let content = Pattern::new(1, 32 << 20);
    let mut connection = server.connect();
    // More than all buffers between here and there hold, so the server must read on for this to end.
    connection.send_put("/files/larger", &[], &content);
    let refused = connection.response();
    assert_eq!(refused.expect_problem(413, "too-large")["limit"], LIMIT);
    connection.expect_end();

    let mut connection = server.connect();
    connection.request("PUT /files/larger", &[("Transfer-Encoding", "chunked")]);
    content.pieces().for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    connection.response().expect_problem(413, "too-large");
    connection.expect_end();
    server.finish(&[]);
}

#[test]
fn a_body_of_unknown_length_is_stopped_at_the_limit() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let content = Pattern::new(1, LIMIT + 1);
    let mut connection = server.connect();
    connection.request("PUT /files/larger", &[("Transfer-Encoding", "chunked")]);
    content.pieces().for_each(|piece| connection.send_chunk(piece));
    // The body does not end, and is refused nevertheless.
    assert_eq!(connection.response().expect_problem(413, "too-large")["limit"], LIMIT);
    connection.expect_end();
    server.expect_files(&[]);

    let mut connection = server.connect();
    let fits = Pattern::new(2, LIMIT);
    connection.request("PUT /files/largest", &[("Transfer-Encoding", "chunked")]);
    fits.pieces().for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    let file = Stored::new(&connection.response(), &fits);
    server.finish(&[&file]);
}

#[test]
fn who_asks_before_sending_is_told_to_go_on_or_not_to() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let content = Pattern::new(1, 300_000);
    let length = content.size().to_string();
    let asking = ("Expect", "100-continue");
    let mut connection = server.connect();
    for expect in ["100-continue", "100-Continue"] {
        connection.request("PUT /files/asked", &[("Expect", expect), ("Content-Length", &length)]);
        assert_eq!(connection.head().status, 100);
        content.pieces().for_each(|piece| connection.send(piece));
        let file = Stored::new(&connection.response(), &content);
        assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    }
    for (fields, status, problem) in [
        ([asking, ("Content-Length", "1048577"), ("X", "")], 413, "too-large"),
        ([asking, ("Content-Length", &*length), ("Content-Digest", "sha-256=:AAAA:")], 400, "invalid-request"),
        ([asking, ("Content-Length", &*length), ("If-Match", "*")], 412, "precondition-failed"),
    ] {
        let mut connection = server.connect();
        connection.request("PUT /files/asked", &fields);
        // The first answer is the last.
        connection.response().expect_problem(status, problem);
        connection.expect_end();
    }
    server.finish(&[]);
}

#[test]
fn more_requests_than_there_is_room_for_are_told_to_come_back() {
    let server = Server::start(&["--max-requests", "2"]);
    let content = Pattern::new(1, 2_000);
    let begun = || {
        let mut connection = server.connect();
        connection.request("PUT /files/busy", &[("Content-Length", "2000"), ("Expect", "100-continue")]);
        // Its guest runs now.
        assert_eq!(connection.head().status, 100);
        connection
    };
    let mut running = [begun(), begun()];
    let refused = server.ask("GET /files/x", &[]);
    refused.expect_host_problem(503);
    refused.head.expect(503, &[("retry-after", Some("1"))]);
    // What needs no guest is answered.
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);

    let files = running.each_mut().map(|connection| {
        content.pieces().for_each(|piece| connection.send(piece));
        Stored::new(&connection.response(), &content)
    });
    eventually("room for a request again", || (server.ask("GET /files/x", &[]).head.status == 404).then_some(()));
    server.finish(&[&files[0], &files[1]]);
}

#[test]
fn more_connections_than_there_is_room_for_are_told_so_and_closed() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut open = [server.connect(), server.connect()];
    for connection in &mut open {
        assert_eq!(connection.ask("GET /health", &[]).head.status, 200);
    }
    let mut refused = server.connect();
    let response = refused.response();
    response.head.expect(503, &[("retry-after", Some("1")), ("connection", Some("close"))]);
    refused.expect_end();
    // Those that are open go on, and one that ends makes room.
    let [first, mut second] = open;
    assert_eq!(second.ask("GET /health", &[]).head.status, 200);
    drop(first);
    eventually("room for a connection again", || {
        let mut connection = server.connect();
        connection.try_send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        (connection.try_head().ok()?.status == 200).then_some(())
    });
    server.finish(&[]);
}
