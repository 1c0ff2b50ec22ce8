//! Memory: it does not grow with the size of a file, nor much with the number of clients.
//!
//! `PORTICO_TEST_GIB` says how large the large file is.

use crate::fixture::{Connection, Pattern, Server, Stored, tell};

const MIB: u64 = 1 << 20;

/// Puts a file, gets and deletes it; answers the peak of the server's memory meanwhile.
fn peak_of(server: &Server, content: &Pattern) -> u64 {
    server.reset_peak();
    let file = server.put("large", content);
    server.expect_file(&file);
    let peak = server.peak();
    assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    peak
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let gib: u64 = std::env::var("PORTICO_TEST_GIB").map_or(1, |gib| gib.parse().expect("a number"));
    let server = Server::start(&[]);
    // The warm-up: what is taken once is taken.
    peak_of(&server, &Pattern::new(0, 100 * MIB));
    let small = peak_of(&server, &Pattern::new(1, 100 * MIB));
    let large = peak_of(&server, &Pattern::new(2, gib << 30));
    let peaks = format!("{} KiB for 100 MiB, {} KiB for {gib} GiB", small >> 10, large >> 10);
    tell(&format!("peak: {peaks}"));
    assert!(large <= small + 8 * MIB, "{peaks}");
    assert!(small.max(large) < 64 * MIB, "{peaks}");
    server.finish(&[]);
}

#[test]
fn a_large_form_takes_no_more_memory_than_a_small_one() {
    let server = Server::start(&[]);
    let peak_of = |content: &Pattern| {
        server.reset_peak();
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large\"\r\n\r\n";
        let end = "\r\n--b--\r\n";
        let length = (head.len() + end.len()) as u64 + content.size();
        let fields = [("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", &*length.to_string())];
        let mut connection = server.connect();
        connection.request("POST /files", &fields);
        connection.send(head);
        content.pieces().for_each(|piece| connection.send(piece));
        connection.send(end);
        let told = connection.response().json();
        assert_eq!(told["files"][0]["sha256"], content.sha256_hex(), "{told}");
        let peak = server.peak();
        let path = format!("/files/{}", told["files"][0]["file_id"].as_str().expect("an id"));
        assert_eq!(server.ask(&format!("DELETE {path}"), &[]).head.status, 204);
        peak
    };
    peak_of(&Pattern::new(0, 30 * MIB));
    let small = peak_of(&Pattern::new(1, 30 * MIB));
    let large = peak_of(&Pattern::new(2, 300 * MIB));
    let peaks = format!("{} KiB for a form of 30 MiB, {} KiB for one of 300 MiB", small >> 10, large >> 10);
    tell(&format!("peak: {peaks}"));
    assert!(large <= small + 8 * MIB, "{peaks}");
    assert!(small.max(large) < 96 * MIB, "{peaks}");
    server.finish(&[]);
}

#[test]
fn two_hundred_slow_uploads_at_once() {
    const UPLOADS: u64 = 200;
    const SIZE: u64 = MIB + 1;
    // As large as what a client that limits its own rate sends at a time. Each upload has one such piece under way.
    const PIECE: u64 = 64 << 10;
    let server = Server::start(&[]);
    let warm = server.put("warm-up", &Pattern::new(1, MIB));
    server.reset_peak();
    let content = Pattern::new(2, SIZE);
    let length = SIZE.to_string();
    let mut uploads: Vec<Connection> = (0..UPLOADS)
        .map(|_| {
            let mut connection = server.connect();
            connection.request("PUT /files/slow", &[("Content-Length", &*length), ("Expect", "100-continue")]);
            connection
        })
        .collect();
    // Each has its guest from here on.
    uploads.iter_mut().for_each(|upload| assert_eq!(upload.head().status, 100));
    for at in (0..SIZE).step_by(PIECE as usize) {
        for upload in &mut uploads {
            content.pieces_of(at..SIZE.min(at + PIECE)).for_each(|piece| upload.send(piece));
        }
    }
    let files: Vec<Stored> = uploads.iter_mut().map(|upload| Stored::new(&upload.response(), &content)).collect();
    let peak = server.peak();
    tell(&format!("peak: {} KiB for {UPLOADS} slow uploads at once", peak >> 10));
    assert!(peak < 256 * MIB, "{peak} bytes");
    drop(uploads);
    for file in &files {
        assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    }
    server.store.expect_files(&[&warm]);
}
