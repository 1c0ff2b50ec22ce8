//! `Range` and `If-Range` (RFC 9110, 13.1.5 and 14).

use crate::fixture::{Connection, Pattern, Server, Stored};
use std::ops::Range;

const SIZE: u64 = 700_001;

fn get(connection: &mut Connection, file: &Stored, fields: &[(&str, &str)], range: Option<Range<u64>>) {
    connection.request(&format!("GET {}", file.path()), fields);
    let head = connection.head();
    let size = file.content.size();
    let (length, told);
    let etag = format!("\"{}\"", file.content.sha256_hex());
    let digest = file.content.digest_field();
    let expected = match &range {
        Some(range) => {
            length = (range.end - range.start).to_string();
            told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            (206, Some(&*told))
        }
        None => {
            length = size.to_string();
            (200, None)
        }
    };
    head.expect(
        expected.0,
        &[
            ("content-range", expected.1),
            ("content-length", Some(&*length)),
            ("accept-ranges", Some("bytes")),
            // They speak of the whole, also with a part.
            ("etag", Some(&*etag)),
            ("repr-digest", Some(&*digest)),
        ],
    );
    connection.expect_content(&head, &file.content, range.unwrap_or(0..size));
}

#[test]
fn one_range_is_answered_and_others_get_the_whole() {
    let server = Server::start(&[]);
    let file = server.put("ranged", &Pattern::new(1, SIZE));
    let mut connection = server.connect();
    let last = (SIZE - 1).to_string();
    for (field, range) in [
        ("bytes=0-0", Some(0..1)),
        ("bytes=0-65535", Some(0..65_536)),
        ("bytes=262143-524288", Some(262_143..524_289)),
        ("bytes=-1", Some(SIZE - 1..SIZE)),
        ("bytes=-300000", Some(SIZE - 300_000..SIZE)),
        ("bytes=-99999999999999999999", Some(0..SIZE)),
        ("bytes=5-", Some(5..SIZE)),
        (&*format!("bytes={last}-"), Some(SIZE - 1..SIZE)),
        (&*format!("bytes=0-{last}"), Some(0..SIZE)),
        ("bytes=700000-18446744073709551615", Some(SIZE - 1..SIZE)),
        ("bytes=0-0,5-6", None),
        ("bytes=5-3", None),
        ("bytes=", None),
        ("bytes=abc", None),
        ("octets=0-5", None),
        ("0-5", None),
    ] {
        get(&mut connection, &file, &[("Range", field)], range);
    }
    server.finish(&[&file]);
}

#[test]
fn a_range_beyond_the_end_is_416_and_tells_the_size() {
    let server = Server::start(&[]);
    let (file, empty) = (server.put("ranged", &Pattern::new(1, SIZE)), server.put("empty", &Pattern::new(0, 0)));
    let mut connection = server.connect();
    for (file, field) in [
        (&file, "bytes=700001-"),
        (&file, "bytes=700001-700002"),
        (&file, "bytes=99999999999999999999-"),
        (&file, "bytes=-0"),
        (&empty, "bytes=0-"),
        (&empty, "bytes=0-0"),
    ] {
        let refused = connection.ask(&format!("GET {}", file.path()), &[("Range", field)]);
        refused.expect_problem(416, "range-not-satisfiable");
        let size = format!("bytes */{}", file.content.size());
        refused.head.expect(416, &[("content-range", Some(&*size))]);
    }
    get(&mut connection, &empty, &[("Range", "bytes=-5")], None);
    server.finish(&[&file, &empty]);
}

#[test]
fn head_knows_no_ranges() {
    let server = Server::start(&[]);
    let file = server.put("ranged", &Pattern::new(1, SIZE));
    let head = server.ask(&format!("HEAD {}", file.path()), &[("Range", "bytes=1-2")]).head;
    head.expect(200, &[("content-length", Some("700001")), ("content-range", None)]);
    server.finish(&[&file]);
}

#[test]
fn a_range_counts_only_of_the_content_that_if_range_names() {
    let server = Server::start(&[]);
    let file = server.put("ranged", &Pattern::new(1, SIZE));
    let mut connection = server.connect();
    let etag = format!("\"{}\"", file.content.sha256_hex());
    let date = connection.ask(&format!("HEAD {}", file.path()), &[]).head.field("last-modified").map(str::to_owned);
    let date = date.expect("a date");
    for (field, holds) in [
        (&*etag, true),
        (&*date, true),
        (&*format!("W/{etag}"), false),
        ("\"other\"", false),
        ("Sun, 06 Nov 1994 08:49:37 GMT", false),
        ("nonsense", false),
    ] {
        get(&mut connection, &file, &[("If-Range", field), ("Range", "bytes=3-9")], holds.then_some(3..10));
    }
    server.finish(&[&file]);
}

#[test]
fn a_file_is_read_in_ranges_at_once() {
    let server = Server::start(&[]);
    let file = server.put("ranged", &Pattern::new(1, SIZE));
    std::thread::scope(|scope| {
        for start in (0..SIZE).step_by(100_000) {
            let (server, file) = (&server, &file);
            let end = SIZE.min(start + 100_000);
            scope.spawn(move || {
                let range = format!("bytes={start}-{}", end - 1);
                get(&mut server.connect(), file, &[("Range", &*range)], Some(start..end));
            });
        }
    });
    server.finish(&[&file]);
}
