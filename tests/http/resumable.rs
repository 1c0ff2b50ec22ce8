//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload-12), each sentence that can be seen from outside, and
//! what clients of older versions need.

use crate::fixture::uploads::{PARTIAL, TUS, file_of, resolved};
use crate::fixture::{Connection, Pattern, Response, Server, Stored};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;
use std::ops::Range;

const KIB: u64 = 1 << 10;

/// The type of a problem of the draft.
fn iana(name: &str) -> String {
    format!("https://iana.org/assignments/http-problem-types#{name}")
}

/// Sends a range of content with a request.
fn send(
    connection: &mut Connection,
    line: &str,
    content: &Pattern,
    range: Range<u64>,
    fields: &[(&str, &str)],
) -> Response {
    let length = (range.end - range.start).to_string();
    connection.request(line, &[&[("Content-Length", &*length)], fields].concat());
    content.pieces_of(range).for_each(|piece| connection.send(piece));
    connection.response()
}

/// Begins an upload without content; answers its path.
fn begin(server: &Server, fields: &[(&str, &str)]) -> String {
    let created =
        server.ask("POST /resumable", &[&[("Content-Length", "0"), ("Upload-Complete", "?0")], fields].concat());
    created.head.expect(201, &[("upload-complete", Some("?0")), ("upload-offset", Some("0"))]);
    assert!(created.head.field("upload-limit").is_some_and(|limit| limit.contains("max-size=")), "{created:?}");
    resolved("/resumable", created.head.field("location").expect("a place"))
}

fn append(server: &Server, upload: &str, content: &Pattern, range: Range<u64>, complete: &str) -> Response {
    let offset = range.start.to_string();
    let fields = [PARTIAL, ("Upload-Offset", &*offset), ("Upload-Complete", complete)];
    send(&mut server.connect(), &format!("PATCH {upload}"), content, range, &fields)
}

#[test]
fn limits_are_told_where_uploads_begin() {
    let server = Server::start(&[]);
    for path in ["/resumable", "/resumable/"] {
        let told = server.ask(&format!("OPTIONS {path}"), &[]).head;
        told.expect(
            204,
            &[
                ("upload-limit", Some("max-size=5497558138880, min-size=0")),
                ("accept-patch", Some("application/partial-upload")),
            ],
        );
    }
    server.finish(&[]);
}

#[test]
fn a_whole_file_in_one_request_is_an_upload_and_a_file() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 300 * KIB);
    // A system sends it so for an ordinary upload, with its own version, and nothing else is asked of the client.
    let fields = [
        ("Upload-Draft-Interop-Version", "8"),
        ("Upload-Complete", "?1"),
        ("Upload-Length", "307200"),
        ("Content-Type", "video/mp4"),
        ("Content-Disposition", "attachment; filename=\"x.mp4\"; filename*=UTF-8''na%C3%AFve.mp4"),
        ("Want-Repr-Digest", "sha-256=1"),
    ];
    let created = send(&mut server.connect(), "POST /resumable", &content, 0..content.size(), &fields);
    created.head.expect(201, &[("upload-complete", Some("?1")), ("upload-offset", Some("307200"))]);
    let digest = BASE64_STANDARD.encode(sha2::Sha256::digest(content.pieces().collect::<Vec<_>>().concat()));
    assert_eq!(created.head.field("repr-digest"), Some(&*format!("sha-256=:{digest}:")));
    let file = file_of("/resumable", &created, &content);
    let listed = server.ask("GET /files", &[]).json();
    assert_eq!(listed["files"][0]["original_filename"], "naïve.mp4");
    assert_eq!(listed["files"][0]["content_type"], "video/mp4");
    // Its URL has the file.
    let upload = resolved("/resumable", created.head.field("location").expect("a place"));
    let mut connection = server.connect();
    connection.request(&format!("GET {upload}"), &[]);
    let head = connection.head();
    head.expect(200, &[("upload-complete", Some("?1")), ("upload-offset", Some("307200"))]);
    connection.expect_content(&head, &content, 0..content.size());
    server.finish(&[&file]);
}

#[test]
fn the_place_is_told_before_the_content_where_that_is_switched_on() {
    let content = Pattern::new(1, 300 * KIB);
    for (switch, version, told) in [
        (true, Some("8"), true),
        (true, Some("3"), true),
        (true, Some("10"), false),
        (true, None, false),
        (false, Some("8"), false),
    ] {
        let server = Server::start(if switch { &["--interim-responses", "true"] } else { &[] });
        let mut connection = server.connect();
        let mut fields = vec![("Upload-Complete", "?1"), ("Content-Length", "307200")];
        if version == Some("3") {
            fields[0] = ("Upload-Incomplete", "?0");
        }
        fields.extend(version.map(|version| ("Upload-Draft-Interop-Version", version)));
        connection.request("POST /resumable", &fields);
        let mut file = None;
        if told {
            let interim = connection.head();
            interim.expect(104, &[("upload-draft-interop-version", version), ("upload-offset", None)]);
            let upload = resolved("/resumable", interim.field("location").expect("a place"));
            server.ask(&format!("HEAD {upload}"), &[]).head.expect(204, &[("upload-offset", Some("0"))]);
            let last = append(&server, &upload, &content, 0..content.size(), "?1");
            // The client went on, so the first request has ended. By which of the two others depends on how far it was.
            let ended = connection.response();
            assert!(ended.head.status >= 400, "{ended:?}");
            last.head.expect(204, &[("upload-complete", Some("?1"))]);
            file = Some(file_of(&upload, &last, &content));
        }
        // A request that still waits for its content would hold up the end of the server.
        drop(connection);
        let mut connection = server.connect();
        connection.request("POST /resumable", &fields);
        if told {
            assert_eq!(connection.head().status, 104);
        }
        content.pieces().for_each(|piece| connection.send(piece));
        let created = connection.response();
        assert_eq!(created.head.status, 201, "{created:?}");
        let other = file_of("/resumable", &created, &content);
        server.finish(&file.iter().chain([&other]).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_comes_in_appends() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100 * KIB);
    let upload = begin(&server, &[("Upload-Length", "102400")]);
    append(&server, &upload, &content, 0..40 * KIB, "?0")
        .head
        .expect(204, &[("upload-complete", Some("?0")), ("upload-offset", Some("40960"))]);
    append(&server, &upload, &content, 40 * KIB..40 * KIB, "?0").head.expect(204, &[("upload-offset", Some("40960"))]);
    for method in ["HEAD", "GET"] {
        let head = server.ask(&format!("{method} {upload}"), &[]).head;
        let limit = head.field("upload-limit").expect("limits").to_owned();
        assert!(limit.contains("max-age="), "{limit}");
        head.expect(
            204,
            &[
                ("upload-offset", Some("40960")),
                ("upload-complete", Some("?0")),
                ("upload-length", Some("102400")),
                ("cache-control", Some("no-store")),
            ],
        );
    }
    let last = append(&server, &upload, &content, 40 * KIB..100 * KIB, "?1");
    last.head.expect(204, &[("upload-complete", Some("?1")), ("upload-offset", Some("102400"))]);
    let file = file_of(&upload, &last, &content);
    let head = server.ask(&format!("HEAD {upload}"), &[]).head;
    head.expect(204, &[("upload-complete", Some("?1")), ("upload-length", Some("102400"))]);
    // Who lost the answer gets it again.
    append(&server, &upload, &content, 100 * KIB..100 * KIB, "?1")
        .head
        .expect(204, &[("upload-complete", Some("?1")), ("upload-offset", Some("102400"))]);
    append(&server, &upload, &content, 0..10, "?1").head.expect(409, &[("upload-complete", Some("?0"))]);
    append(&server, &upload, &content, 100 * KIB..100 * KIB, "?0").head.expect(400, &[("upload-complete", Some("?0"))]);
    server.finish(&[&file]);
}

#[test]
fn a_file_of_unknown_length_ends_where_its_client_says() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100 * KIB);
    let upload = begin(&server, &[]);
    append(&server, &upload, &content, 0..100 * KIB, "?0").head.expect(204, &[]);
    server.ask(&format!("HEAD {upload}"), &[]).head.expect(204, &[("upload-length", None)]);
    let last = append(&server, &upload, &content, 100 * KIB..100 * KIB, "?1");
    last.head.expect(204, &[("upload-complete", Some("?1"))]);
    let file = file_of(&upload, &last, &content);
    // An empty file, in one request.
    let empty = server.ask("POST /resumable", &[("Content-Length", "0"), ("Upload-Complete", "?1")]);
    empty.head.expect(201, &[("upload-complete", Some("?1")), ("upload-offset", Some("0"))]);
    let empty = file_of("/resumable", &empty, &Pattern::new(2, 0));
    server.finish(&[&file, &empty]);
}

#[test]
fn what_arrived_before_a_break_is_kept() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 900 * KIB);
    let upload = begin(&server, &[("Upload-Length", &content.size().to_string())]);
    let mut connection = server.connect();
    let length = content.size().to_string();
    let fields = [PARTIAL, ("Upload-Offset", "0"), ("Upload-Complete", "?1"), ("Content-Length", &*length)];
    connection.request(&format!("PATCH {upload}"), &fields);
    content.pieces_of(0..300 * KIB).for_each(|piece| connection.send(piece));
    connection.half_close();
    let _ = connection.drain_to_end();
    let head = server.ask(&format!("HEAD {upload}"), &[]).head;
    head.expect(204, &[("upload-offset", Some("307200")), ("upload-complete", Some("?0"))]);
    let last = append(&server, &upload, &content, 300 * KIB..content.size(), "?1");
    last.head.expect(204, &[("upload-complete", Some("?1"))]);
    let file = file_of(&upload, &last, &content);
    server.finish(&[&file]);
}

#[test]
fn older_clients_are_understood() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let mut files: Vec<Stored> = Vec::new();
    for version in ["3", "5", "6", "8", "9", "10"] {
        let (name, open, whole) =
            if version == "3" { ("Upload-Incomplete", "?1", "?0") } else { ("Upload-Complete", "?0", "?1") };
        let number = ("Upload-Draft-Interop-Version", version);
        let told = name.to_ascii_lowercase();
        let created = send(&mut server.connect(), "POST /resumable/", &content, 0..40, &[number, (name, open)]);
        created.head.expect(201, &[(&told, Some(open)), ("upload-offset", Some("40"))]);
        let upload = resolved("/resumable/", created.head.field("location").expect("a place"));
        server
            .ask(&format!("HEAD {upload}"), &[number])
            .head
            .expect(204, &[(&told, Some(open)), ("upload-offset", Some("40"))]);
        // The media type of an append is younger than version 5.
        let kind = if matches!(version, "3" | "5") { ("Content-Type", "text/plain") } else { PARTIAL };
        let fields = [number, kind, ("Upload-Offset", "40"), (name, whole)];
        let last = send(&mut server.connect(), &format!("PATCH {upload}"), &content, 40..100, &fields);
        last.head.expect(204, &[(&told, Some(whole)), ("upload-offset", Some("100"))]);
        files.push(file_of(&upload, &last, &content));
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn fields_that_are_none_are_refused_as_if_absent() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let upload = begin(&server, &[("Upload-Length", "100")]);
    for (name, value) in [
        ("Upload-Offset", ""),
        ("Upload-Offset", "-1"),
        ("Upload-Offset", "1.0"),
        ("Upload-Offset", "\"0\""),
        ("Upload-Offset", "1000000000000000"),
        ("Upload-Complete", "1"),
        ("Upload-Complete", "true"),
        ("Upload-Complete", "?2"),
        ("Upload-Complete", ""),
    ] {
        let fields = [("Upload-Offset", "0"), ("Upload-Complete", "?0")]
            .map(|field| if field.0 == name { (name, value) } else { field });
        let fields = [&[PARTIAL][..], &fields].concat();
        let refused = send(&mut server.connect(), &format!("PATCH {upload}"), &content, 0..10, &fields);
        refused.head.expect(400, &[("upload-complete", Some("?0"))]);
    }
    let fields = [("Upload-Offset", "0"), ("Upload-Complete", "?0"), ("Content-Type", "text/plain")];
    let refused = send(&mut server.connect(), &format!("PATCH {upload}"), &content, 0..10, &fields);
    refused.head.expect(415, &[("upload-complete", Some("?0"))]);
    for fields in [[("Upload-Offset", "0")], [("Upload-Complete", "?0")]] {
        server.ask(&format!("HEAD {upload}"), &fields).head.expect(400, &[]);
    }
    let wrong = append(&server, &upload, &content, 10..20, "?0");
    wrong.head.expect(409, &[("upload-offset", Some("0")), ("upload-complete", Some("?0"))]);
    let problem = wrong.json();
    assert_eq!(problem["type"], iana("mismatching-upload-offset"));
    assert_eq!((&problem["expected-offset"], &problem["provided-offset"]), (&0.into(), &10.into()));
    server.ask(&format!("DELETE {upload}"), &[]).head.expect(204, &[]);
    for line in ["HEAD", "DELETE", "GET"] {
        assert!(matches!(server.ask(&format!("{line} {upload}"), &[]).head.status, 404 | 410), "{line}");
    }
    server.finish(&[]);
}

#[test]
fn a_request_that_is_longer_than_the_operator_allows_is_refused_and_the_limit_told() {
    let server = Server::start(&["--append-size-max", "1000B"]);
    let content = Pattern::new(1, 3_000);
    let told = server.ask("OPTIONS /resumable", &[]).head;
    told.expect(204, &[("upload-limit", Some("max-size=5497558138880, min-size=0, max-append-size=1000"))]);

    let whole = send(&mut server.connect(), "POST /resumable", &content, 0..1_001, &[("Upload-Complete", "?1")]);
    whole.head.expect(413, &[("upload-complete", Some("?0"))]);
    assert!(whole.head.field("upload-limit").is_some_and(|limit| limit.contains("max-append-size=1000")), "{whole:?}");

    let upload = begin(&server, &[("Upload-Length", "3000")]);
    append(&server, &upload, &content, 0..1_000, "?0").head.expect(204, &[("upload-offset", Some("1000"))]);
    let refused = append(&server, &upload, &content, 1_000..2_001, "?0");
    refused.head.expect(413, &[("upload-complete", Some("?0"))]);
    let limit = refused.head.field("upload-limit").expect("limits");
    assert!(limit.contains("max-append-size=1000"), "{limit}");
    // Content of unknown length, which turns out to be longer.
    let mut connection = server.connect();
    let fields = [PARTIAL, ("Transfer-Encoding", "chunked"), ("Upload-Offset", "1000"), ("Upload-Complete", "?0")];
    connection.request(&format!("PATCH {upload}"), &fields);
    content.pieces_of(1_000..2_500).for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    connection.response().head.expect(413, &[("upload-complete", Some("?0"))]);
    drop(connection);
    // The upload is as it was, and continues within the limit.
    server.ask(&format!("HEAD {upload}"), &[]).head.expect(204, &[("upload-offset", Some("1000"))]);
    append(&server, &upload, &content, 1_000..2_000, "?0").head.expect(204, &[("upload-offset", Some("2000"))]);
    let last = append(&server, &upload, &content, 2_000..3_000, "?1");
    last.head.expect(204, &[("upload-complete", Some("?1"))]);
    server.finish(&[&file_of(&upload, &last, &content)]);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let fields = [("Upload-Complete", "?1"), ("Upload-Length", "101")];
    let refused = send(&mut server.connect(), "POST /resumable", &content, 0..100, &fields);
    refused.head.expect(400, &[("upload-complete", Some("?0"))]);
    assert_eq!(refused.json()["type"], iana("inconsistent-upload-length"));
    let fields = [("Content-Length", "0"), ("Upload-Complete", "?0"), ("Upload-Length", "5497558138881")];
    let refused = server.ask("POST /resumable", &fields);
    refused.head.expect(413, &[("upload-complete", Some("?0"))]);
    assert!(refused.head.field("upload-limit").is_some(), "{refused:?}");

    let upload = begin(&server, &[("Upload-Length", "50")]);
    // Fewer than the length, said to be all.
    append(&server, &upload, &content, 0..10, "?1").head.expect(400, &[("upload-complete", Some("?0"))]);
    let head = server.ask(&format!("HEAD {upload}"), &[]).head;
    let at: u64 = head.field("upload-offset").expect("an offset").parse().expect("a number");
    // Another length than the known one.
    let fields = [PARTIAL, ("Upload-Offset", &*at.to_string()), ("Upload-Complete", "?0"), ("Upload-Length", "51")];
    let refused = send(&mut server.connect(), &format!("PATCH {upload}"), &content, 0..0, &fields);
    refused.head.expect(400, &[("upload-complete", Some("?0"))]);
    assert_eq!(refused.json()["type"], iana("inconsistent-upload-length"));
    // More than the length ends the upload.
    let refused = append(&server, &upload, &content, at..at + 60, "?0");
    refused.head.expect(400, &[("upload-complete", Some("?0"))]);
    assert!(matches!(server.ask(&format!("HEAD {upload}"), &[]).head.status, 404 | 410));
    server.finish(&[]);
}

#[test]
fn digests_are_checked() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let of = |range: Range<u64>| {
        let bytes = content.pieces_of(range).collect::<Vec<_>>().concat();
        (BASE64_STANDARD.encode(sha2::Sha256::digest(&bytes)), BASE64_STANDARD.encode(sha2::Sha512::digest(&bytes)))
    };
    let upload = begin(&server, &[("Upload-Length", "100")]);
    let patch = |range: Range<u64>, complete: &str, digest: &str| {
        let at = range.start.to_string();
        let fields = [PARTIAL, ("Upload-Offset", &*at), ("Upload-Complete", complete), ("Content-Digest", digest)];
        send(&mut server.connect(), &format!("PATCH {upload}"), &content, range, &fields)
    };
    let (wrong, wrong_512) = of(1..2);
    for digest in
        [format!("sha-256=:{wrong}:"), format!("sha-512=:{wrong_512}:"), "sha-256=:YQ==:".to_owned(), "x=".to_owned()]
    {
        patch(0..50, "?0", &digest).head.expect(400, &[("upload-complete", Some("?0"))]);
        server.ask(&format!("HEAD {upload}"), &[]).head.expect(204, &[("upload-offset", Some("0"))]);
    }
    let (right, right_512) = of(0..50);
    let both = format!("sha-256=:{right}:, sha-512=:{right_512}:, unknown=:YQ==:");
    patch(0..50, "?0", &both).head.expect(204, &[("upload-offset", Some("50"))]);
    let last = patch(50..100, "?1", &format!("sha-512=:{}:", of(50..100).1));
    last.head.expect(204, &[("upload-complete", Some("?1"))]);
    let file = file_of(&upload, &last, &content);
    // A digest of the whole that is wrong: no file, and no way to go on.
    let fields = [("Upload-Complete", "?1"), ("Repr-Digest", &*format!("sha-256=:{wrong}:"))];
    let refused = send(&mut server.connect(), "POST /resumable", &content, 0..100, &fields);
    refused.head.expect(422, &[("upload-complete", Some("?1"))]);
    let fields = [("Upload-Complete", "?1"), ("Repr-Digest", &*format!("sha-256=:{}:", of(0..100).0))];
    let stored = send(&mut server.connect(), "POST /resumable", &content, 0..100, &fields);
    stored.head.expect(201, &[("upload-complete", Some("?1"))]);
    let other = file_of("/resumable", &stored, &content);
    files_are(&server, 2);
    server.expect_file(&other);
    server.expect_file(&file);
}

fn files_are(server: &Server, count: usize) {
    assert_eq!(server.ask("GET /files", &[]).json()["files"].as_array().map(Vec::len), Some(count));
}

#[test]
fn the_protocol_of_a_request_is_what_it_says() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    // A system adds the fields of the draft to a request of a tus client.
    let fields = [
        TUS,
        ("Content-Length", "0"),
        ("Upload-Length", "100"),
        ("Upload-Draft-Interop-Version", "6"),
        ("Upload-Complete", "?1"),
    ];
    let created = server.ask("POST /tus", &fields);
    created.head.expect(201, &[("tus-resumable", Some("1.0.0")), ("upload-complete", None)]);
    // At the URL of tus, without its version.
    let fields = [("Upload-Draft-Interop-Version", "6"), ("Upload-Complete", "?0")];
    let created = send(&mut server.connect(), "POST /tus", &content, 0..40, &fields);
    created.head.expect(201, &[("tus-resumable", None), ("upload-complete", Some("?0"))]);
    // Elsewhere these fields mean nothing.
    let mut connection = server.connect();
    connection.send_put("/files/plain", &[("Upload-Draft-Interop-Version", "8"), ("Upload-Complete", "?1")], &content);
    let response = connection.response();
    response.head.expect(201, &[("upload-complete", None), ("upload-offset", None)]);
    files_are(&server, 1);
}
