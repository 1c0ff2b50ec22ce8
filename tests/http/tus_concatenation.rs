//! The concatenation extensions of tus 1.0.0.

use crate::fixture::uploads::{OCTETS, TUS, append, begin, file_of, resolved};
use crate::fixture::{Pattern, Server};

const KIB: u64 = 1 << 10;

#[test]
fn uploads_are_joined_without_their_bytes_being_sent_again() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 300 * KIB);
    let cuts = [0, 100 * KIB, 100 * KIB + 1, 300 * KIB];
    let partials: Vec<String> = cuts
        .windows(2)
        .map(|cut| {
            let length = (cut[1] - cut[0]).to_string();
            let upload = begin(&server, &[("Upload-Length", &length), ("Upload-Concat", "partial")]);
            // The content of each begins at its own offset 0.
            let mut connection = server.connect();
            let fields = [TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", &*length)];
            connection.request(&format!("PATCH {upload}"), &fields);
            content.pieces_of(cut[0]..cut[1]).for_each(|piece| connection.send(piece));
            connection.response().head.expect(204, &[("upload-offset", Some(&*length)), ("content-location", None)]);
            let head = server.ask(&format!("HEAD {upload}"), &[TUS]).head;
            head.expect(200, &[("upload-concat", Some("partial")), ("upload-offset", Some(&*length))]);
            upload
        })
        .collect();
    assert_eq!(server.ask("GET /files", &[]).json()["files"], serde_json::json!([]), "a partial upload makes no file");
    // One by its whole URL, the others by their paths.
    let field = format!("final;http://{}{} {} {}", server.addr, partials[0], partials[1], partials[2]);
    let twice = format!("{field} {}", partials[0]);
    let fields = |concat: &'static str| [TUS, ("Content-Length", "0"), ("Upload-Concat", concat)];
    let begin_final =
        |concat: &str| server.ask("POST /tus", &[TUS, ("Content-Length", "0"), ("Upload-Concat", concat)]);
    begin_final(&twice).expect_problem(400, "invalid-request");
    for wrong in ["final", "final;", "final; ", "finale;/tus/x", "final;/tus/0123456789abcdef0123456789abcdef", "x"] {
        begin_final(wrong).expect_problem(400, "invalid-request");
    }
    let with_length = [&fields("final;/tus/x")[..], &[("Upload-Length", "1")]].concat();
    server.ask("POST /tus", &with_length).expect_problem(400, "invalid-request");
    let created = begin_final(&field);
    created.head.expect(201, &[]);
    let upload = resolved("/tus", created.head.field("location").expect("a place"));
    let file = file_of("/tus", &created, &content);
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]).head;
    head.expect(
        200,
        &[("upload-concat", Some(&*field)), ("upload-length", Some("307200")), ("upload-offset", Some("307200"))],
    );
    // What is joined takes no more, and is no piece of another one.
    assert_eq!(append(&mut server.connect(), &upload, &content, 0..0, &[]).head.status, 403);
    begin_final(&format!("final;{} {}", partials[0], partials[1])).expect_problem(400, "invalid-request");
    // The same again, by a client that has lost the answer.
    let again = begin_final(&field);
    again.head.expect(201, &[("location", created.head.field("location"))]);
    assert_eq!(server.ask(&format!("HEAD {}", partials[0]), &[TUS]).head.status, 404);
    server.finish(&[&file]);
}

#[test]
fn uploads_may_be_joined_before_they_are_complete() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 200);
    let partials: Vec<String> =
        (0..2).map(|_| begin(&server, &[("Upload-Length", "100"), ("Upload-Concat", "partial")])).collect();
    let field = format!("final;{} {}", partials[0], partials[1]);
    let created = server.ask("POST /tus", &[TUS, ("Content-Length", "0"), ("Upload-Concat", &*field)]);
    created.head.expect(201, &[("content-location", None)]);
    let upload = resolved("/tus", created.head.field("location").expect("a place"));
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]).head;
    head.expect(200, &[("upload-concat", Some(&*field)), ("upload-offset", None)]);
    for (at, partial) in partials.iter().enumerate() {
        let mut connection = server.connect();
        let fields = [TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", "100")];
        connection.request(&format!("PATCH {partial}"), &fields);
        let start = at as u64 * 100;
        content.pieces_of(start..start + 100).for_each(|piece| connection.send(piece));
        connection.response().head.expect(204, &[]);
    }
    // The file is there without anybody having asked for it again.
    let listed = server.ask("GET /files", &[]).json();
    assert_eq!(listed["files"][0]["size_bytes"], 200);
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]);
    head.head.expect(200, &[("upload-offset", Some("200"))]);
    let file = file_of(&upload, &head, &content);
    server.finish(&[&file]);
}
