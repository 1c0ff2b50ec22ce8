//! Whole files there and back: every size at which something changes, and what is told of them.

use crate::fixture::stored::expect_receipt;
use crate::fixture::{Pattern, Server, Stored};
use std::time::SystemTime;

/// Empty, one byte, around a piece of a stock stream, around what a put gathers before it writes, and several of those.
const SIZES: [u64; 9] =
    [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, (512 << 10) - 1, 512 << 10, (512 << 10) + 1, 5 << 20];

#[test]
fn a_file_goes_in_comes_out_and_goes() {
    let server = Server::start(&[]);
    // One connection for all of it: each response must end where it says.
    let mut connection = server.connect();
    for (seed, size) in SIZES.into_iter().enumerate() {
        let content = Pattern::new(seed as u64, size);
        connection.send_put("/files/some%20name.bin", &[("Content-Type", "text/x-test; a=b")], &content);
        let response = connection.response();
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, "text/x-test; a=b", "some name.bin");
        assert_eq!(response.head.field("connection"), None, "{size}");
        server.expect_files(&[&file]);

        let (etag, digest) = (format!("\"{}\"", content.sha256_hex()), content.digest_field());
        let length = size.to_string();
        let told = [
            ("content-length", Some(&*length)),
            ("content-type", Some("text/x-test; a=b")),
            ("content-disposition", Some("attachment; filename=\"some name.bin\"; filename*=UTF-8''some%20name.bin")),
            ("etag", Some(&*etag)),
            ("repr-digest", Some(&*digest)),
            ("accept-ranges", Some("bytes")),
            ("cache-control", Some("no-cache")),
            ("x-content-type-options", Some("nosniff")),
            ("content-security-policy", Some("sandbox")),
            ("content-range", None),
            ("content-encoding", None),
            ("transfer-encoding", None),
        ];
        connection.request(&format!("GET {}", file.path()), &[]);
        let head = connection.head();
        head.expect(200, &told);
        connection.expect_content(&head, &content, 0..size);
        let date = head.field("last-modified").and_then(|date| httpdate::parse_http_date(date).ok());
        let age = SystemTime::now().duration_since(date.expect("a date")).expect("a date in the past");
        assert!(age.as_secs() < 600, "{age:?}");

        let same = connection.ask(&format!("HEAD {}", file.path()), &[]).head;
        same.expect(200, &told);
        assert_eq!(same.field("last-modified"), head.field("last-modified"));

        let deleted = connection.ask(&format!("DELETE {}", file.path()), &[]);
        deleted.head.expect(204, &[("content-length", None), ("content-type", None)]);
        server.expect_files(&[]);
        for method in ["GET", "DELETE"] {
            let gone = connection.ask(&format!("{method} {}", file.path()), &[]);
            assert_eq!(gone.expect_problem(410, "gone")["detail"], "deleted");
        }
        let head = connection.ask(&format!("HEAD {}", file.path()), &[]).head;
        assert_eq!((head.status, head.field("content-type")), (410, Some("application/problem+json")));
    }
    server.finish(&[]);
}

#[test]
fn a_body_of_unknown_length_is_stored_whole() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let mut files = Vec::new();
    for (seed, (size, piece)) in
        [(0, 1), (1, 1), (10_000, 7), (600 << 10, 64 << 10), (1 << 20, 1 << 20)].into_iter().enumerate()
    {
        let content = Pattern::new(seed as u64, size);
        connection.request("PUT /files/chunked", &[("Transfer-Encoding", "chunked")]);
        let mut at = 0;
        while at < size {
            let bytes = content.piece(at, piece);
            connection.send_chunk(bytes);
            at += bytes.len() as u64;
        }
        connection.end_chunks();
        files.push(Stored::new(&connection.response(), &content));
    }
    files.iter().for_each(|file| server.expect_file(file));
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn without_a_type_it_is_octets_and_a_type_is_kept_as_it_is() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let content = Pattern::new(0, 100);
    let longest = format!("text/{}", "x".repeat(250));
    let mut files = Vec::new();
    for (given, kept) in [
        (None, "application/octet-stream"),
        (Some(""), "application/octet-stream"),
        (Some(" \t "), "application/octet-stream"),
        (Some("image/svg+xml"), "image/svg+xml"),
        (Some("text/html; charset=\"utf-8\""), "text/html; charset=\"utf-8\""),
        (Some(&*longest), &*longest),
    ] {
        let fields: Vec<_> = given.map(|given| ("Content-Type", given)).into_iter().collect();
        connection.send_put("/files/typed", &fields, &content);
        let response = connection.response();
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, kept, "typed");
        connection.ask(&format!("HEAD {}", file.path()), &[]).head.expect(200, &[("content-type", Some(kept))]);
        files.push(file);
    }
    for refused in
        ["text", "text/", "/html", "text/html, text/plain", "te xt/html", "text/ht\u{e9}ml", &format!("{longest}x")]
    {
        let mut connection = server.connect();
        connection.send_put("/files/typed", &[("Content-Type", refused)], &content);
        assert_eq!(connection.response().expect_problem(400, "invalid-request")["field"], "content-type", "{refused}");
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn each_put_makes_a_file_of_its_own_whatever_its_name() {
    let server = Server::start(&[]);
    let same = Pattern::new(1, 70_000);
    let other = Pattern::new(2, 3);
    let files = [server.put("twin", &same), server.put("twin", &same), server.put("twin", &other)];
    assert!(files[0].id != files[1].id && files[1].id != files[2].id && files[0].id != files[2].id);
    files.iter().for_each(|file| server.expect_file(file));

    // Deleting one leaves its twin alone.
    assert_eq!(server.ask(&format!("DELETE {}", files[0].path()), &[]).head.status, 204);
    server.expect_file(&files[1]);
    server.finish(&[&files[1], &files[2]]);
}

#[test]
fn many_clients_at_once() {
    const CLIENTS: u64 = 12;
    const EACH: u64 = 5;
    let server = Server::start(&[]);
    let files: Vec<Stored> = std::thread::scope(|scope| {
        let client = |client| {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                let mut files = Vec::new();
                for round in 0..EACH {
                    let content = Pattern::new(client, 1 + client * 100_003 + round);
                    connection.send_put("/files/of%20many", &[], &content);
                    files.push(Stored::new(&connection.response(), &content));
                    server.expect_file(&files[files.len() / 2]);
                }
                files
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client that succeeds")).collect()
    });
    assert_eq!(files.len() as u64, CLIENTS * EACH);
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn nothing_is_where_nothing_was_put() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for path in [
        "/files/00000000000000000000000000000000",
        "/files/x",
        "/files/~",
        "/pages",
        "/uploads",
        "/files/a/b",
        "/nothing",
    ] {
        connection.ask(&format!("GET {path}"), &[]).expect_problem(404, "not-found");
        let head = connection.ask(&format!("HEAD {path}"), &[]).head;
        assert_eq!((head.status, head.field("content-type")), (404, Some("application/problem+json")), "{path}");
        connection.ask(&format!("DELETE {path}"), &[]).expect_problem(404, "not-found");
    }
    server.finish(&[]);
}

#[test]
fn other_methods_are_told_which_there_are() {
    const ALLOW: [(&str, Option<&str>); 1] = [("allow", Some("GET, HEAD, PUT, DELETE, OPTIONS"))];
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for method in ["POST", "PATCH", "TRACE", "PROPFIND", "get"] {
        let refused = connection.ask(&format!("{method} /files/x"), &[]);
        refused.expect_problem(405, "method-not-allowed");
        refused.head.expect(405, &ALLOW);
    }
    connection.ask("OPTIONS /files/x", &[]).head.expect(204, &ALLOW);
    server.finish(&[]);
}
