//! `Content-Digest` and `Repr-Digest` (RFC 9530): what a client announces is checked before anything is visible.

use crate::fixture::{Pattern, Server, Stored};

/// Of other content.
const OTHER: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

#[test]
fn the_right_digest_is_stored_and_a_wrong_one_leaves_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 700_000);
    let digest = content.digest_field();
    let with_others = format!("md5=:AAAA:, {digest}, sha-512=:AAAA:");
    let mut files = Vec::new();
    let mut connection = server.connect();
    for fields in [
        [("Content-Digest", &*digest)].as_slice(),
        &[("Repr-Digest", &*digest)],
        &[("Repr-Digest", &*digest), ("Content-Digest", &*with_others)],
        &[("Content-Digest", "sha-512=:AAAA:")],
    ] {
        connection.send_put("/files/digest", fields, &content);
        files.push(Stored::new(&connection.response(), &content));
    }
    for fields in [
        [("Content-Digest", OTHER)].as_slice(),
        &[("Repr-Digest", OTHER)],
        &[("Content-Digest", "sha-512=:AAAA:"), ("Repr-Digest", OTHER)],
    ] {
        connection.send_put("/files/digest", fields, &content);
        connection.response().expect_problem(422, "digest-mismatch");
        server.expect_files(&files.iter().collect::<Vec<_>>());
    }
    // A body of unknown length is checked just so.
    connection.request("PUT /files/digest", &[("Transfer-Encoding", "chunked"), ("Content-Digest", OTHER)]);
    connection.send_chunk(content.piece(0, 100_000));
    connection.end_chunks();
    connection.response().expect_problem(422, "digest-mismatch");
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_digest_that_cannot_be_followed_is_refused_before_the_body() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 1_000);
    let digest = content.digest_field();
    for (fields, field) in [
        ([("Content-Digest", "sha-256=:AAAA:")].as_slice(), "content-digest"),
        (&[("Content-Digest", "sha-256=47DEQpj8HBSa")], "content-digest"),
        (&[("Content-Digest", "sha-256=(1 2)")], "content-digest"),
        (&[("Repr-Digest", "nonsense nonsense")], "content-digest"),
        (&[("Content-Digest", &*digest), ("Repr-Digest", OTHER)], "repr-digest"),
    ] {
        let mut connection = server.connect();
        // Without the body: the answer comes although none of it was sent.
        connection.request("PUT /files/digest", &[fields, &[("Content-Length", "1000")]].concat());
        let refused = connection.response();
        assert_eq!(refused.expect_problem(400, "invalid-request")["field"], field, "{fields:?}");
        assert_eq!(refused.head.field("connection"), Some("close"));
    }
    server.finish(&[]);
}

#[test]
fn parts_and_coded_bodies_are_not_taken_for_the_whole() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 1_000);
    for (field, value, status, problem) in [
        ("Content-Range", "bytes 0-999/2000", 400, "invalid-request"),
        ("Content-Encoding", "gzip", 415, "unsupported-coding"),
        ("Content-Encoding", "br, identity", 415, "unsupported-coding"),
    ] {
        let mut connection = server.connect();
        connection.send_put("/files/part", &[(field, value)], &content);
        let refused = connection.response();
        refused.expect_problem(status, problem);
        assert_eq!(refused.head.field("accept-encoding"), (status == 415).then_some("identity"));
    }
    let mut connection = server.connect();
    connection.send_put("/files/whole", &[("Content-Encoding", "Identity")], &content);
    let file = Stored::new(&connection.response(), &content);
    server.finish(&[&file]);
}
