//! The checksum extension of tus 1.0.0, and what a break keeps with and without a checksum.

use crate::fixture::uploads::{OCTETS, TUS, appended, begin_of, file_of, offset};
use crate::fixture::{Pattern, Server};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;

const KIB: u64 = 1 << 10;

#[test]
fn checksums_are_checked_before_anything_is_kept() {
    let server = Server::start(&[]);
    // Its digests: by `openssl dgst`, and CRC-32C by its catalogue.
    let text = b"123456789";
    let sha512 = BASE64_STANDARD.encode(sha2::Sha512::digest(text));
    let known = [
        ("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ("sha512", &*sha512),
        ("crc32c", "4waSgw=="),
    ];
    for (algorithm, digest) in known {
        let upload = begin_of(&server, 18);
        let send = |at: &str, checksum: &str| {
            let mut connection = server.connect();
            let fields = [TUS, OCTETS, ("Upload-Offset", at), ("Content-Length", "9"), ("Upload-Checksum", checksum)];
            connection.request(&format!("PATCH {upload}"), &fields);
            connection.send(text);
            connection.response().head
        };
        let right = format!("{algorithm} {digest}");
        let length = BASE64_STANDARD.decode(digest).expect("base64").len();
        let wrong = format!("{algorithm} {}", BASE64_STANDARD.encode(vec![0; length]));
        send("0", &wrong).expect(460, &[("upload-offset", None), ("tus-resumable", Some("1.0.0"))]);
        assert_eq!(offset(&server, &upload), 0, "{algorithm}");
        send("0", &right).expect(204, &[("upload-offset", Some("9"))]);
        send("9", &wrong).expect(460, &[]);
        assert_eq!(offset(&server, &upload), 9, "{algorithm}");
        for malformed in ["sha1", "sha1 !", "sha3 YQ==", "", "sha1 YQ=="] {
            assert_eq!(send("9", malformed).status, 400, "{malformed}");
        }
        assert_eq!(server.ask(&format!("DELETE {upload}"), &[TUS]).head.status, 204);
    }
    server.finish(&[]);
}

#[test]
fn a_checksum_may_come_after_the_content() {
    let server = Server::start(&[]);
    let upload = begin_of(&server, 18);
    let send = |at: &str, trailer: &str| {
        let mut connection = server.connect();
        let fields =
            [TUS, OCTETS, ("Upload-Offset", at), ("Transfer-Encoding", "chunked"), ("Trailer", "Upload-Checksum")];
        connection.request(&format!("PATCH {upload}"), &fields);
        connection.send_chunk(b"123456789");
        connection.send(format!("0\r\n{trailer}\r\n"));
        connection.response().head
    };
    send("0", "Upload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n").expect(460, &[("upload-offset", None)]);
    send("0", "").expect(400, &[]);
    send("0", "Upload-Checksum: sha1 YQ==\r\n").expect(400, &[]);
    assert_eq!(offset(&server, &upload), 0);
    send("0", "Upload-Checksum: sha1 98O8HYCOBHMq32eZZczDTKeuNEE=\r\n").expect(204, &[("upload-offset", Some("9"))]);
    send("9", "Upload-Checksum: crc32c 4waSgw==\r\n").expect(204, &[("upload-offset", Some("18"))]);
    let listed = server.ask("GET /files", &[]).json();
    assert_eq!(listed["files"][0]["size_bytes"], 18);
    assert_eq!(server.ask(&format!("DELETE {upload}"), &[TUS]).head.status, 204);
    server.finish(&[]);
}

#[test]
fn what_arrived_before_a_break_is_kept_unless_it_has_a_checksum() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 900 * KIB);
    let upload = begin_of(&server, content.size());
    let kept = 300 * KIB;
    let send = |at: u64, framing: (&str, &str), more: &[(&str, &str)]| {
        let mut connection = server.connect();
        let at = at.to_string();
        let fields = [&[TUS, OCTETS, ("Upload-Offset", &*at), framing], more].concat();
        connection.request(&format!("PATCH {upload}"), &fields);
        connection
    };
    let length = content.size().to_string();
    let checksum = [("Upload-Checksum", "sha1 98O8HYCOBHMq32eZZczDTKeuNEE=")];
    let mut connection = send(0, ("Content-Length", &length), &checksum);
    content.pieces_of(0..kept).for_each(|piece| connection.send(piece));
    connection.half_close();
    let _ = connection.drain_to_end();
    assert_eq!(offset(&server, &upload), 0);

    let mut connection = send(0, ("Content-Length", &length), &[]);
    content.pieces_of(0..kept).for_each(|piece| connection.send(piece));
    connection.half_close();
    let _ = connection.drain_to_end();
    assert_eq!(offset(&server, &upload), kept);

    let mut connection = send(kept, ("Transfer-Encoding", "chunked"), &[]);
    content.pieces_of(kept..2 * kept).for_each(|piece| connection.send_chunk(piece));
    connection.half_close();
    let _ = connection.drain_to_end();
    assert_eq!(offset(&server, &upload), 2 * kept);

    let response = appended(&mut server.connect(), &upload, &content, 2 * kept..content.size());
    let file = file_of(&upload, &response, &content);
    server.finish(&[&file]);
}
