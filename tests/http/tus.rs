//! tus 1.0.0 and its extensions, each sentence of the protocol that can be seen from outside.

use crate::fixture::uploads::{OCTETS, TUS, append, appended, begin, begin_of, file_of, offset, resolved, sent};
use crate::fixture::{Pattern, Server, eventually};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::time::{Duration, Instant};

const KIB: u64 = 1 << 10;

#[test]
fn what_the_server_offers_is_told_without_a_version() {
    let server = Server::start(&[]);
    for path in ["/tus", "/tus/", "/tus/0123456789abcdef0123456789abcdef"] {
        let told = server.ask(&format!("OPTIONS {path}"), &[]).head;
        told.expect(204, &[("tus-version", Some("1.0.0")), ("tus-max-size", Some("5497558138880"))]);
        let extensions: Vec<&str> = told.field("tus-extension").expect("extensions").split(',').collect();
        let all = [
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "expiration",
            "checksum",
            "checksum-trailer",
            "termination",
            "concatenation",
            "concatenation-unfinished",
        ];
        assert_eq!(extensions, all);
        let algorithms = told.field("tus-checksum-algorithm").expect("algorithms");
        assert!(algorithms.split(',').any(|algorithm| algorithm == "sha1"), "{algorithms}");
    }
    server.finish(&[]);
}

#[test]
fn a_request_without_the_version_is_not_processed() {
    let server = Server::start(&[]);
    let upload = begin_of(&server, 10);
    for version in [None, Some("0.2.2"), Some("1.0"), Some("2.0.0")] {
        let fields: Vec<(&str, &str)> = version.map(|version| ("Tus-Resumable", version)).into_iter().collect();
        for line in ["POST /tus", "HEAD UPLOAD", "PATCH UPLOAD", "DELETE UPLOAD"] {
            let fields = [&fields[..], &[("Content-Length", "0"), OCTETS, ("Upload-Offset", "0")]].concat();
            let head = server.ask(&line.replace("UPLOAD", &upload), &fields).head;
            head.expect(412, &[("tus-version", Some("1.0.0")), ("tus-resumable", Some("1.0.0"))]);
        }
    }
    assert_eq!(offset(&server, &upload), 0);
    server.finish(&[]);
}

#[test]
fn a_file_comes_in_appends_and_is_there_under_the_url_of_its_upload() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 300 * KIB + 7);
    let (upload, file) = sent(&server, &content, 64 * KIB);
    let size = content.size().to_string();
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]).head;
    head.expect(200, &[("upload-offset", Some(&*size)), ("upload-length", Some(&*size)), ("upload-expires", None)]);
    // Browsers open it without a field of the protocol.
    let mut connection = server.connect();
    connection.request(&format!("GET {upload}"), &[]);
    let head = connection.head();
    head.expect(200, &[("content-length", Some(&*size)), ("content-type", Some("application/octet-stream"))]);
    connection.expect_content(&head, &content, 0..content.size());
    let mut connection = server.connect();
    connection.request(&format!("GET {upload}"), &[("Range", "bytes=100-199")]);
    let head = connection.head();
    assert_eq!(head.status, 206);
    connection.expect_content(&head, &content, 100..200);
    // The last append again, whose answer may be lost.
    let again = append(&mut server.connect(), &upload, &content, content.size()..content.size(), &[]);
    again.head.expect(204, &[("upload-offset", Some(&*size))]);
    server.finish(&[&file]);
}

#[test]
fn the_place_of_an_upload_is_below_the_url_that_was_asked() {
    let server = Server::start(&[]);
    for (path, below) in [("/tus", "tus/"), ("/tus/", "../tus/")] {
        let created = server.ask(&format!("POST {path}"), &[TUS, ("Content-Length", "0"), ("Upload-Length", "1")]);
        let place = created.head.field("location").expect("a place").to_owned();
        assert!(place.starts_with(below), "{place} for {path}");
        assert_eq!(offset(&server, &resolved(path, &place)), 0);
    }
    server.finish(&[]);
}

#[test]
fn metadata_is_the_name_and_the_type_and_is_told_as_it_was_written() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let name = BASE64_STANDARD.encode("naïve ☃.txt");
    let written = format!("filename {name},filetype dGV4dC9wbGFpbg==,is_confidential,relativePath YS9iLnR4dA==");
    let upload = begin(&server, &[("Upload-Length", "10"), ("Upload-Metadata", &written)]);
    let response = appended(&mut server.connect(), &upload, &content, 0..10);
    server.ask(&format!("HEAD {upload}"), &[TUS]).head.expect(200, &[("upload-metadata", Some(&*written))]);
    let file = file_of(&upload, &response, &content);
    let listed = server.ask("GET /files", &[]).json();
    assert_eq!(listed["files"][0]["original_filename"], "naïve ☃.txt");
    assert_eq!(listed["files"][0]["content_type"], "text/plain");
    server.finish(&[&file]);
}

#[test]
fn an_empty_upload_is_complete_when_it_begins() {
    let server = Server::start(&[]);
    let created = server.ask("POST /tus", &[TUS, ("Content-Length", "0"), ("Upload-Length", "0")]);
    created.head.expect(201, &[]);
    let upload = resolved("/tus", created.head.field("location").expect("a place"));
    let file = file_of("/tus", &created, &Pattern::new(1, 0));
    assert_eq!(offset(&server, &upload), 0);
    server.finish(&[&file]);
}

#[test]
fn the_first_bytes_come_with_the_creation() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let mut connection = server.connect();
    for (length, sent) in [("100", 40_u64), ("100", 100)] {
        connection.request(
            "POST /tus",
            &[
                TUS,
                OCTETS,
                ("Upload-Length", length),
                ("Content-Length", &sent.to_string()),
                ("Expect", "100-continue"),
            ],
        );
        assert_eq!(connection.head().status, 100);
        content.pieces_of(0..sent).for_each(|piece| connection.send(piece));
        let created = connection.response();
        created.head.expect(201, &[("upload-offset", Some(&*sent.to_string()))]);
        let upload = resolved("/tus", created.head.field("location").expect("a place"));
        if sent < 100 {
            assert_eq!(offset(&server, &upload), sent);
            assert_eq!(server.ask(&format!("DELETE {upload}"), &[TUS]).head.status, 204);
        } else {
            let file = file_of("/tus", &created, &content);
            server.expect_file(&file);
            server.finish(&[&file]);
            return;
        }
    }
}

#[test]
fn a_length_may_follow_once() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let upload = begin(&server, &[("Upload-Defer-Length", "1")]);
    let deferred = |upload: &str| server.ask(&format!("HEAD {upload}"), &[TUS]).head;
    deferred(&upload).expect(200, &[("upload-defer-length", Some("1")), ("upload-length", None)]);
    let mut connection = server.connect();
    appended(&mut connection, &upload, &content, 0..40);
    for wrong in ["39", "-1", "x", "1.0", "99999999999999999999"] {
        let refused = append(&mut server.connect(), &upload, &content, 40..40, &[("Upload-Length", wrong)]);
        assert_eq!(refused.head.status, 400, "{wrong}");
    }
    append(&mut connection, &upload, &content, 40..40, &[("Upload-Length", "100")]).head.expect(204, &[]);
    deferred(&upload).expect(200, &[("upload-defer-length", None), ("upload-length", Some("100"))]);
    let other = append(&mut server.connect(), &upload, &content, 40..40, &[("Upload-Length", "101")]);
    assert_eq!(other.head.status, 400);
    let response = append(&mut server.connect(), &upload, &content, 40..100, &[("Upload-Length", "100")]);
    let file = file_of(&upload, &response, &content);
    server.finish(&[&file]);
}

#[test]
fn a_newcomer_takes_over_from_a_client_that_stands_still() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 900 * KIB);
    let half = content.size() / 3;
    for newcomer in ["HEAD", "PATCH", "DELETE"] {
        let upload = begin_of(&server, content.size());
        let mut holder = server.connect();
        let length = content.size().to_string();
        let fields = [TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", &*length), ("Expect", "100-continue")];
        holder.request(&format!("PATCH {upload}"), &fields);
        assert_eq!(holder.head().status, 100);
        content.pieces_of(0..half).for_each(|piece| holder.send(piece));
        let start = Instant::now();
        match newcomer {
            // Bytes may still be on their way to the server: whatever is told stays.
            "HEAD" => {
                let told = offset(&server, &upload);
                assert!(told <= half, "{told}");
                assert_eq!(offset(&server, &upload), told);
            }
            "PATCH" => {
                let refused = append(&mut server.connect(), &upload, &content, 0..0, &[]);
                assert!(matches!(refused.head.status, 204 | 409), "{refused:?}");
            }
            _ => {
                server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[]);
                assert_eq!(server.ask(&format!("HEAD {upload}"), &[TUS]).head.status, 404);
            }
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{newcomer} took {:?}", start.elapsed());
        // Who was ended is not told an error that ends its upload for good, nor an offset.
        let ended = holder.response().head;
        let status = if newcomer == "DELETE" { 404 } else { 503 };
        ended.expect(status, &[("upload-offset", None)]);
        if newcomer != "DELETE" {
            let told = offset(&server, &upload);
            let response = appended(&mut server.connect(), &upload, &content, told..content.size());
            let file = file_of(&upload, &response, &content);
            server.expect_file(&file);
            assert_eq!(server.ask(&format!("DELETE {upload}"), &[TUS]).head.status, 204);
        }
    }
    server.finish(&[]);
}

#[test]
fn a_terminated_upload_is_gone_and_so_is_its_file() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100);
    let open = begin_of(&server, 100);
    appended(&mut server.connect(), &open, &content, 0..40);
    let (finished, _) = sent(&server, &content, 100);
    for upload in [open, finished] {
        server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[("tus-resumable", Some("1.0.0"))]);
        for line in ["HEAD", "DELETE"] {
            let head = server.ask(&format!("{line} {upload}"), &[TUS]).head;
            head.expect(404, &[("upload-offset", None), ("tus-resumable", Some("1.0.0"))]);
        }
        assert_eq!(server.ask(&format!("GET {upload}"), &[]).head.status, 404);
        assert_eq!(append(&mut server.connect(), &upload, &content, 40..40, &[]).head.status, 404);
    }
    server.finish(&[]);
}

#[test]
fn the_method_may_be_in_a_field() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let upload = begin_of(&server, 10);
    let head = |upload: &str| {
        server.ask(&format!("POST {upload}"), &[TUS, ("X-HTTP-Method-Override", "HEAD"), ("Content-Length", "0")])
    };
    head(&upload).head.expect(200, &[("upload-offset", Some("0"))]);
    let mut connection = server.connect();
    let fields = [TUS, OCTETS, ("X-HTTP-Method-Override", "PATCH"), ("Upload-Offset", "0"), ("Content-Length", "10")];
    connection.request(&format!("POST {upload}"), &fields);
    content.pieces().for_each(|piece| connection.send(piece));
    connection.response().head.expect(204, &[("upload-offset", Some("10"))]);
    let fields = [TUS, ("X-HTTP-Method-Override", "DELETE"), ("Content-Length", "0")];
    server.ask(&format!("POST {upload}"), &fields).head.expect(204, &[]);
    head(&upload).head.expect(404, &[]);
    server.finish(&[]);
}

#[test]
fn unfinished_uploads_say_when_they_expire_and_do() {
    let server = Server::start(&["--session-ttl", "3s"]);
    let content = Pattern::new(1, 100);
    let created = server.ask("POST /tus", &[TUS, ("Content-Length", "0"), ("Upload-Length", "100")]);
    let expires = created.head.field("upload-expires").expect("a time").to_owned();
    assert!(expires.ends_with(" GMT") && expires.len() == "Mon, 30 Nov 2026 08:00:00 GMT".len(), "{expires}");
    let upload = resolved("/tus", created.head.field("location").expect("a place"));
    let appended = append(&mut server.connect(), &upload, &content, 0..40, &[]);
    appended.head.expect(204, &[("upload-expires", Some(&*expires))]);
    server.ask(&format!("HEAD {upload}"), &[TUS]).head.expect(200, &[("upload-expires", Some(&*expires))]);
    eventually("the end of the upload", || {
        (server.ask(&format!("HEAD {upload}"), &[TUS]).head.status == 410).then_some(())
    });
    append(&mut server.connect(), &upload, &content, 40..100, &[]).head.expect(410, &[("upload-offset", None)]);
    server.ask(&format!("DELETE {upload}"), &[TUS]).head.expect(204, &[]);
    server.finish(&[]);
}

#[test]
fn hundreds_of_small_appends_make_one_file() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 600 * 1_000 - 1);
    let (_, file) = sent(&server, &content, 1_000);
    server.finish(&[&file]);
}

#[test]
fn of_two_appends_at_one_offset_one_is_taken() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 40 * KIB);
    let upload = begin_of(&server, content.size());
    let mut at = 0;
    while at < content.size() {
        let range = at..(at + 2 * KIB).min(content.size());
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    let (server, upload, content, range) = (&server, &upload, &content, range.clone());
                    scope.spawn(move || append(&mut server.connect(), upload, content, range, &[]).head.status)
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        // Each newcomer ends the one before it, which may have been stored, and is told 503 then.
        let taken = statuses.iter().filter(|status| **status == 204).count();
        assert!(taken <= 1 && statuses.iter().all(|status| matches!(status, 204 | 409 | 503)), "{statuses:?}");
        let now = offset(&server, &upload);
        assert!((at..=range.end).contains(&now) && (taken == 0 || now == range.end), "{now} after {statuses:?}");
        at = now;
    }
    let head = server.ask(&format!("HEAD {upload}"), &[TUS]);
    let file = file_of(&upload, &head, &content);
    server.finish(&[&file]);
}
