//! `POST /files.zip`: several files as one archive, which a reader of its own takes apart.

use crate::fixture::client::Head;
use crate::fixture::uploads::{TUS, appended, begin, file_of};
use crate::fixture::{Connection, Pattern, Server, Stored, form};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::io::ErrorKind;

const FORM: &str = "application/x-www-form-urlencoded";

/// Asks for an archive.
fn ask(server: &Server, body: &str) -> (Connection, Head) {
    let mut connection = server.connect();
    let length = body.len().to_string();
    connection.request("POST /files.zip", &[("Content-Type", FORM), ("Content-Length", &length)]);
    connection.send(body);
    let head = connection.head();
    (connection, head)
}

fn of(files: &[&Stored]) -> String {
    files.iter().map(|file| format!("id={}", file.id)).collect::<Vec<_>>().join("&")
}

/// Downloads an archive as a whole, and compares its length with the announced one.
#[track_caller]
fn archive(server: &Server, files: &[&Stored]) -> Vec<u8> {
    let (mut connection, head) = ask(server, &of(files));
    head.expect(
        200,
        &[
            ("content-type", Some("application/zip")),
            ("content-disposition", Some("attachment; filename=\"files.zip\"; filename*=UTF-8''files.zip")),
            ("cache-control", Some("no-store")),
            ("x-content-type-options", Some("nosniff")),
            ("content-security-policy", Some("sandbox")),
            ("transfer-encoding", None),
        ],
    );
    let mut content = Vec::new();
    connection.body(&head, |_, bytes| content.extend_from_slice(bytes)).expect("the whole archive");
    content
}

/// Returns the CRC-32 of bytes (ISO 3309), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Takes an archive without ZIP64 apart: each path with its content, whose CRC-32 and records agree.
#[track_caller]
fn taken_apart(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number =
        |at: usize, bytes: usize| zip[at..at + bytes].iter().rev().fold(0, |sum, b| sum << 8 | usize::from(*b));
    let end = zip.len() - 22;
    assert_eq!(number(end, 4), 0x0605_4b50);
    let (mut at, count) = (number(end + 16, 4), number(end + 10, 2));
    assert_eq!(at + number(end + 12, 4), end);
    let mut files = Vec::new();
    let mut offset = 0;
    for _ in 0..count {
        assert_eq!((number(at, 4), number(at + 8, 2), number(at + 10, 2)), (0x0201_4b50, 0x0808, 0));
        let (size, name, extra) = (number(at + 24, 4), number(at + 28, 2), number(at + 30, 2));
        assert_eq!((number(at + 20, 4), number(at + 42, 4)), (size, offset));
        let path = String::from_utf8(zip[at + 46..at + 46 + name].to_vec()).expect("UTF-8");
        // The record before the content has the same name; the one after it the same CRC and sizes.
        assert_eq!((number(offset, 4), number(offset + 6, 2), number(offset + 26, 2)), (0x0403_4b50, 0x0808, name));
        let start = offset + 30 + name + number(offset + 28, 2);
        assert_eq!(&zip[offset + 30..offset + 30 + name], path.as_bytes());
        let content = zip[start..start + size].to_vec();
        let after = start + size;
        assert_eq!((number(after, 4), number(after + 8, 4), number(after + 12, 4)), (0x0807_4b50, size, size));
        assert_eq!(
            (number(after + 4, 4), number(at + 16, 4)),
            (crc(&content) as usize, crc(&content) as usize),
            "{path}"
        );
        files.push((path, content));
        offset = after + 16;
        at += 46 + name + extra;
    }
    assert_eq!((offset, at), (number(end + 16, 4), end));
    files
}

/// Stores a file over tus, with a path in a folder.
fn in_folder(server: &Server, path: &str, content: &Pattern) -> Stored {
    let metadata = [("filename", path.rsplit('/').next().unwrap_or_default()), ("relativePath", path)];
    let pairs = metadata.map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value))).join(",");
    let upload = begin(server, &[("Upload-Length", &content.size().to_string()), ("Upload-Metadata", &pairs)]);
    let response = appended(&mut server.connect(), &upload, content, 0..content.size());
    assert_eq!(server.ask(&format!("HEAD {upload}"), &[TUS]).head.status, 200);
    file_of(&upload, &response, content)
}

#[test]
fn files_come_with_their_names_and_paths() {
    let server = Server::start(&[]);
    let contents = [(1, 100_000), (2, 0), (3, 1), (4, 300_000)].map(|(seed, size)| Pattern::new(seed, size));
    let plain = server.put("na%C3%AFve%20%E2%98%83.txt", &contents[0]);
    let empty = server.put("same", &contents[1]);
    let again = server.put("SAME", &contents[2]);
    let deep = in_folder(&server, "album/deep/er/b.bin", &contents[3]);
    let climbing = in_folder(&server, "../../../album/x", &contents[2]);
    let files = [&plain, &empty, &again, &deep, &climbing];
    let found = taken_apart(&archive(&server, &files));
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["naïve ☃.txt", "same", "SAME (2)", "album/deep/er/b.bin", "album/x"]);
    for ((path, content), file) in found.iter().zip(files) {
        assert_eq!(*content, form::bytes(&file.content), "{path}");
    }
    // The listing has the paths too.
    let listed = server.ask("GET /files", &[]).json();
    let path = |file: &Stored| {
        let all = listed["files"].as_array().expect("files");
        all.iter().find(|one| one["file_id"] == file.id.as_str()).map(|one| one["relative_path"].clone())
    };
    assert_eq!((path(&deep), path(&plain)), (Some("album/deep/er/b.bin".into()), Some(serde_json::Value::Null)));
    // A file that is asked for twice comes once.
    assert_eq!(taken_apart(&archive(&server, &[&again, &again])).len(), 1);
    server.finish(&files);
}

#[test]
fn a_thousand_files_and_no_more() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3);
    let mut connection = server.connect();
    let files: Vec<Stored> = (0..1_001)
        .map(|number| {
            connection.send_put(&format!("/files/{number}.txt"), &[], &content);
            Stored::new(&connection.response(), &content)
        })
        .collect();
    let all: Vec<&Stored> = files.iter().collect();
    let found = taken_apart(&archive(&server, &all[..1_000]));
    assert_eq!((found.len(), &*found[999].0), (1_000, "999.txt"));
    let (mut connection, head) = ask(&server, &of(&all));
    let mut problem = Vec::new();
    connection.body(&head, |_, bytes| problem.extend_from_slice(bytes)).expect("a problem");
    assert_eq!(head.status, 400, "{}", String::from_utf8_lossy(&problem));
    server.finish(&all);
}

#[test]
fn more_content_than_a_guest_may_hold() {
    // A guest has 64 MiB of memory.
    let server = Server::start(&[]);
    let files = [1, 2, 3].map(|seed| server.put("large", &Pattern::new(seed, 40 << 20)));
    let (mut connection, head) = ask(&server, &of(&files.iter().collect::<Vec<_>>()));
    let read = connection.body(&head, |_, _| {}).expect("the whole archive");
    assert!(read > 120 << 20);
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_deleted_meanwhile_cuts_the_archive_off() {
    let server = Server::start(&[]);
    // More than the buffers of the kernel take.
    let (first, second) = (server.put("first", &Pattern::new(1, 48 << 20)), server.put("second", &Pattern::new(2, 9)));
    let (mut connection, head) = ask(&server, &of(&[&first, &second]));
    assert_eq!(head.status, 200);
    assert_eq!(server.ask(&format!("DELETE {}", second.path()), &[]).head.status, 204);
    let cut = connection.body(&head, |_, _| {}).expect_err("an archive that is cut off");
    assert!(matches!(cut.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{cut}");
    // Asked for again, it is no file.
    let (_, head) = ask(&server, &of(&[&first, &second]));
    assert_eq!(head.status, 404);
    server.finish(&[&first]);
}

#[test]
fn forms_that_name_no_archive() {
    let server = Server::start(&[]);
    let file = server.put("x", &Pattern::new(1, 1));
    for (body, status, kind) in [
        ("", 400, "invalid-request"),
        ("name=x", 400, "invalid-request"),
        ("id", 400, "invalid-request"),
        ("id=%ff", 400, "invalid-request"),
        ("id=", 404, "not-found"),
        ("id=../x", 404, "not-found"),
        ("id=0123456789abcdef0123456789abcdef", 404, "not-found"),
        (&*format!("id={}&id=unknown", file.id), 404, "not-found"),
        (&*"x".repeat((256 << 10) + 1), 413, "too-large"),
    ] {
        let mut connection = server.connect();
        let length = body.len().to_string();
        connection.request("POST /files.zip", &[("Content-Type", FORM), ("Content-Length", &length)]);
        connection.send(body);
        connection.response().expect_problem(status, kind);
    }
    let json = [("Content-Type", "application/json"), ("Content-Length", "0")];
    server.ask("POST /files.zip", &json).expect_problem(415, "unsupported-media-type");
    server.ask("GET /files.zip", &[]).expect_problem(405, "method-not-allowed");
    // What a form of HTML sends beside the ids.
    let (_, head) = ask(&server, &format!("send=Download&id={}", file.id.replace('a', "%61")));
    assert_eq!(head.status, 200);
    server.finish(&[&file]);
}
