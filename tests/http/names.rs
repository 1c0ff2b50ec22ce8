//! Names and identifiers, hard and hostile.

use crate::fixture::stored::expect_receipt;
use crate::fixture::{Pattern, Server, Stored};

#[test]
fn hard_names_come_back_as_they_were() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let content = Pattern::new(1, 10);
    let mut files = Vec::new();
    for (segment, name, filename, extended) in [
        ("plain.txt", "plain.txt", "plain.txt", "plain.txt"),
        ("a%22b%22.txt", "a\"b\".txt", "a_b_.txt", "a%22b%22.txt"),
        ("%22;filename=%22evil.exe", "\";filename=\"evil.exe", "_;filename=_evil.exe", "%22%3Bfilename%3D%22evil.exe"),
        ("h%C3%BCbsch%20%C3%9F.pdf", "hübsch ß.pdf", "h_bsch _.pdf", "h%C3%BCbsch%20%C3%9F.pdf"),
        ("%F0%9F%A6%80.png", "🦀.png", "_.png", "%F0%9F%A6%80.png"),
        ("%E2%80%AEgpj.exe", "\u{202e}gpj.exe", "_gpj.exe", "%E2%80%AEgpj.exe"),
        ("%E2%80%8F%D7%A9.txt", "\u{200f}ש.txt", "__.txt", "%E2%80%8F%D7%A9.txt"),
        ("back%5Cslash", "back\\slash", "back_slash", "back_slash"),
        ("100%25", "100%", "100_", "100%25"),
        ("100%zz", "100%zz", "100_zz", "100%25zz"),
        ("a+b&c=d", "a+b&c=d", "a+b&c=d", "a+b&c%3Dd"),
        ("it's*", "it's*", "it's*", "it%27s%2A"),
        ("...", "...", "...", "..."),
        (".hidden", ".hidden", ".hidden", ".hidden"),
        ("%2525", "%25", "_25", "%2525"),
        (&*"n".repeat(255), &*"n".repeat(255), &*"n".repeat(255), &*"n".repeat(255)),
    ] {
        connection.send_put(&format!("/files/{segment}"), &[], &content);
        let response = connection.response();
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, "application/octet-stream", name);
        let disposition = format!("attachment; filename=\"{filename}\"; filename*=UTF-8''{extended}");
        let head = connection.ask(&format!("HEAD {}", file.path()), &[]).head;
        assert_eq!(head.field("content-disposition"), Some(&*disposition), "{name}");
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_query_is_no_part_of_a_name() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let content = Pattern::new(1, 10);
    connection.send_put("/files/named?x=/../y", &[], &content);
    let response = connection.response();
    let file = Stored::new(&response, &content);
    assert_eq!(response.json()["original_filename"], "named");
    assert_eq!(connection.ask(&format!("HEAD {}?a=b", file.path()), &[]).head.status, 200);
    server.finish(&[&file]);
}

/// Segments that may name nothing: not a file to put, not one to get.
fn hostile() -> Vec<String> {
    let plain = [
        "",
        ".",
        "..",
        "%2e%2e",
        "%2E%2e%2F",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..%2findex.sqlite",
        "a%2Fb",
        "%2F",
        "%00",
        "a%00b",
        "a%0d%0aSet-Cookie:%20x=1",
        "%1b[31m",
        "%7F",
        "%C2%85",
        "%FF",
        "%C0%AE%C0%AE",
        "%ED%A0%80",
        "%F8%88%80%80%80",
    ];
    let long = ["a".repeat(256), "a".repeat(5_000), "%41".repeat(5_000), "%E2%82%AC".repeat(86)];
    plain.map(str::to_owned).into_iter().chain(long).collect()
}

#[test]
fn hostile_names_are_refused_and_make_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    for segment in hostile() {
        let mut connection = server.connect();
        connection.send_put(&format!("/files/{segment}"), &[], &content);
        let refused = connection.response().expect_problem(400, "invalid-request");
        assert_eq!(refused["field"], "name", "{segment}");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.starts_with("the file name ")), "{refused}");
    }
    // Segments of their own: no route.
    for path in ["/files/a/b", "/files/../files/x/y", "/../../etc/passwd", "/files//x", "/FILES/x"] {
        let mut connection = server.connect();
        connection.send_put(path, &[], &content);
        connection.response().expect_problem(404, "not-found");
    }
    server.finish(&[]);
}

#[test]
fn hostile_ids_find_nothing() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 10));
    let mut connection = server.connect();
    let id = &file.id;
    let near = [
        format!("..%2F{id}"),
        format!("main%2F{id}"),
        format!("final%2Fmain%2F{id}"),
        format!("{id}%00"),
        format!("{id}%20"),
        format!("{id}%2F"),
        id.to_ascii_uppercase(),
        id[..31].to_owned(),
    ];
    for segment in hostile().into_iter().chain(near.into_iter().filter(|near| near != id)) {
        for method in ["GET", "DELETE"] {
            connection.ask(&format!("{method} /files/{segment}"), &[]).expect_problem(404, "not-found");
        }
        assert_eq!(connection.ask(&format!("HEAD /files/{segment}"), &[]).head.status, 404, "{segment}");
    }
    // The same id, written otherwise.
    let written = format!("%{:02X}{}", id.as_bytes()[0], &id[1..]);
    assert_eq!(connection.ask(&format!("HEAD /files/{written}"), &[]).head.status, 200);
    server.finish(&[&file]);
}

#[test]
fn bytes_that_no_target_may_have_are_refused() {
    let server = Server::start(&[]);
    for target in [b"/files/\x00".as_slice(), b"/files/a b", b"/files/\x07", b"files/x", b"", b"/files/\x7f", b"*"] {
        let mut connection = server.connect();
        connection.send([b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat());
        let head = connection.head();
        assert!(matches!(head.status, 400 | 404), "{target:?}: {head:?}");
    }
    // Bytes beyond ASCII name nothing, and break nothing.
    let mut connection = server.connect();
    connection.send(b"GET /files/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = connection.head();
    assert!(matches!(head.status, 400 | 404), "{head:?}");
    server.finish(&[]);
}
