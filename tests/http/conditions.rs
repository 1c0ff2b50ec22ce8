//! Conditional requests (RFC 9110, 13).

use crate::fixture::{Pattern, Server};

const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FAR_AHEAD: &str = "Fri, 31 Dec 9999 23:59:59 GMT";

#[test]
fn reading_under_conditions() {
    let server = Server::start(&[]);
    let file = server.put("conditional", &Pattern::new(1, 1_000));
    let mut connection = server.connect();
    let etag = format!("\"{}\"", file.content.sha256_hex());
    let date = connection.ask(&format!("HEAD {}", file.path()), &[]).head.field("last-modified").map(str::to_owned);
    let (weak, list, date) = (format!("W/{etag}"), format!("\"x\", {etag}"), date.expect("a date"));
    for (fields, status) in [
        ([("If-None-Match", &*etag)].as_slice(), 304),
        (&[("If-None-Match", &*weak)], 304),
        (&[("If-None-Match", &*list)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\""), ("If-None-Match", &*etag)], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-None-Match", "nonsense")], 200),
        (&[("If-Modified-Since", &*date)], 304),
        (&[("If-Modified-Since", FAR_AHEAD)], 304),
        (&[("If-Modified-Since", LONG_AGO)], 200),
        (&[("If-Modified-Since", "nonsense")], 200),
        (&[("If-Modified-Since", FAR_AHEAD), ("If-None-Match", "\"x\"")], 200),
        (&[("If-Match", &*etag)], 200),
        (&[("If-Match", "*")], 200),
        (&[("If-Match", &*weak)], 412),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Match", "\"x\""), ("If-None-Match", &*etag)], 412),
        (&[("If-Match", &*etag), ("If-None-Match", &*etag)], 304),
        (&[("If-Unmodified-Since", &*date)], 200),
        (&[("If-Unmodified-Since", LONG_AGO)], 412),
        // A condition is decided before a range.
        (&[("If-None-Match", &*etag), ("Range", "bytes=5000-")], 304),
        (&[("If-Match", "\"x\""), ("Range", "bytes=0-1")], 412),
        (&[("If-Match", &*etag), ("Range", "bytes=0-1")], 206),
    ] {
        let head = connection.ask(&format!("HEAD {}", file.path()), fields).head;
        assert_eq!(head.status, if status == 206 { 200 } else { status }, "HEAD {fields:?}");
        connection.request(&format!("GET {}", file.path()), fields);
        let head = connection.head();
        assert_eq!(head.status, status, "{fields:?}");
        match status {
            304 => {
                head.expect(304, &[("etag", Some(&*etag)), ("last-modified", Some(&*date)), ("content-type", None)]);
                assert_eq!(head.field("cache-control"), Some("no-cache"));
            }
            412 => assert!(connection.body(&head, |_, _| {}).expect("a document") > 0),
            206 => connection.expect_content(&head, &file.content, 0..2),
            _ => connection.expect_content(&head, &file.content, 0..1_000),
        }
    }
    let refused = connection.ask(&format!("GET {}", file.path()), &[("If-Match", "\"x\"")]);
    refused.expect_problem(412, "precondition-failed");
    server.finish(&[&file]);
}

#[test]
fn deleting_under_conditions() {
    let server = Server::start(&[]);
    let file = server.put("conditional", &Pattern::new(1, 1_000));
    let mut connection = server.connect();
    let etag = format!("\"{}\"", file.content.sha256_hex());
    for fields in [
        [("If-Match", "\"x\"")],
        [("If-None-Match", "*")],
        [("If-None-Match", &*etag)],
        [("If-Unmodified-Since", LONG_AGO)],
    ] {
        let refused = connection.ask(&format!("DELETE {}", file.path()), &fields);
        refused.expect_problem(412, "precondition-failed");
        server.expect_files(&[&file]);
    }
    assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[("If-Match", &etag)]).head.status, 204);
    connection.ask(&format!("DELETE {}", file.path()), &[("If-Match", &etag)]).expect_problem(410, "gone");
    server.finish(&[]);
}

#[test]
fn putting_under_conditions() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 200_000);
    for fields in [[("If-Match", "*")], [("If-Match", "\"x\"")]] {
        let mut connection = server.connect();
        connection.send_put("/files/conditional", &fields, &content);
        connection.response().expect_problem(412, "precondition-failed");
    }
    // What is put is new, so there is nothing that it could meet.
    let mut connection = server.connect();
    connection.send_put("/files/conditional", &[("If-None-Match", "*")], &content);
    let file = crate::fixture::Stored::new(&connection.response(), &content);
    server.finish(&[&file]);
}
