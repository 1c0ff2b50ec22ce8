//! The whole portal as a native program, on the SDK's store in memory: one way through each protocol, and through a round of
//! maintenance. What the server does around the portal is tested in `tests/http`.

use portico_guest::{
    Error,
    http::Request,
    maintenance::{Progress, Step},
    memory::{Host, Reply},
};
use portico_portal::{answer, maintain};
use serde_json::{Value, json};
use std::time::Duration;

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

/// The terms of a session for 25 bytes in parts of ten.
const TERMS: &str =
    r#"{"original_filename":"a.txt","content_type":"text/plain","total_size_bytes":25,"chunk_size_bytes":10}"#;

fn host() -> Host {
    Host::new().setting("part-size-min", "1").setting("session-ttl", "3600")
}

fn json(reply: &Reply) -> Value {
    serde_json::from_str(reply.text()).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

fn with_json(request: Request, document: &str) -> Request {
    request.with_field("content-type", "application/json").with_body(document)
}

#[track_caller]
fn serve(host: &Host, request: Request, status: u16) -> Reply {
    let reply = host.serve(answer, request);
    assert_eq!(reply.status, status, "{reply:?}");
    reply
}

fn round(host: &Host) -> Progress {
    host.run(|| maintain(Step::new(60_000, None))).expect("a round")
}

#[test]
fn a_file_is_put_listed_read_and_deleted() {
    let host = host();
    let put = Request::new("PUT", "/files/a%20b.txt").with_field("content-type", "text/plain").with_body("0123456789");
    let stored = serve(&host, put, 201);
    let receipt = json(&stored);
    assert_eq!((&receipt["original_filename"], &receipt["size_bytes"]), (&json!("a b.txt"), &json!(10)));
    let path = format!("/files/{}", receipt["file_id"].as_str().expect("an id"));
    assert_eq!(stored.field("location"), Some(&*format!("..{path}")));

    let range = serve(&host, Request::new("GET", &path).with_field("range", "bytes=-3"), 206);
    assert_eq!((range.text(), range.is_whole), ("789", true));
    assert_eq!(json(&serve(&host, Request::new("GET", "/files"), 200))["files"], json!([receipt]));
    serve(&host, Request::new("DELETE", &path), 204);
    serve(&host, Request::new("GET", &path), 410);
    assert!(host.objects().is_empty());
}

#[test]
fn a_session_becomes_a_file_whatever_the_order_of_its_parts() {
    let host = host();
    let created = serve(&host, with_json(Request::new("POST", "/uploads/sessions"), TERMS), 201);
    let path = format!("/uploads/sessions/{}", json(&created)["session_id"].as_str().expect("an id"));
    for (number, content) in [(3, "uvwxy"), (1, "abcdefghij"), (2, "klmnopqrst")] {
        let missing = serve(&host, Request::new("POST", &format!("{path}/finalize")), 400);
        assert_eq!(json(&missing)["type"], "/problems/incomplete-upload");
        serve(&host, Request::new("PUT", &format!("{path}/parts/{number}")).with_body(content), 201);
    }
    let file = json(&serve(&host, Request::new("POST", &format!("{path}/finalize")), 201));
    let id = file["file_id"].as_str().expect("an id");
    assert_eq!(host.objects()[id], b"abcdefghijklmnopqrstuvwxy");
    assert!(host.parts().is_empty());
    serve(&host, Request::new("POST", &format!("{path}/finalize")), 200);
}

#[test]
fn an_upload_of_tus_continues_after_a_break() {
    let host = host();
    let tus = |method, path: &str| Request::new(method, path).with_field(TUS.0, TUS.1);
    let created = serve(&host, tus("POST", "/tus").with_field("upload-length", "8"), 201);
    let path = format!("/{}", created.field("location").expect("a location").trim_start_matches("../"));
    for (offset, content) in [("0", "0123"), ("4", "4567")] {
        let head = serve(&host, tus("HEAD", &path), 200);
        assert_eq!(head.field("upload-offset"), Some(offset));
        let patch = tus("PATCH", &path).with_field("upload-offset", offset);
        let patch = patch.with_field("content-type", "application/offset+octet-stream").with_body(content);
        serve(&host, patch, 204);
    }
    assert_eq!(host.objects().into_values().collect::<Vec<_>>(), [b"01234567"]);
}

#[test]
fn a_session_that_has_expired_is_ended_cleared_and_forgotten() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let host = host().setting("tombstone-ttl", "7200");
    let created = serve(&host, with_json(Request::new("POST", "/uploads/sessions"), TERMS), 201);
    let path = format!("/uploads/sessions/{}", json(&created)["session_id"].as_str().expect("an id"));
    serve(&host, Request::new("PUT", &format!("{path}/parts/1")).with_body("abcdefghij"), 201);

    let open = round(&host);
    assert_eq!((open.open_sessions, open.open_bytes, open.expired), (1, 10, 0));
    host.advance(HOUR * 2);
    let ended = round(&host);
    assert_eq!((ended.expired, ended.cleared, ended.open_sessions), (1, 1, 0));
    assert!(host.parts().is_empty());
    serve(&host, Request::new("PUT", &format!("{path}/parts/2")).with_body("klmnopqrst"), 410);
    host.advance(HOUR * 10);
    // The record and the tombstone.
    assert_eq!(round(&host).purged, 2);
    serve(&host, Request::new("GET", &path), 404);
    assert_eq!(host.store().records("").count(), 0);
}

#[test]
fn failures_of_the_store_have_their_statuses() {
    let host = host();
    for (error, status) in [
        (Error::NoSpace, 507),
        (Error::Denied, 502),
        (Error::Unavailable { retry_after: Some(Duration::from_secs(7)) }, 503),
        (Error::Internal { id: "x".into() }, 500),
    ] {
        host.fail_next(error);
        let put = Request::new("PUT", "/files/a").with_field("x-request-id", "r1").with_body("a");
        let failed = serve(&host, put, status);
        assert_eq!(json(&failed)["request_id"], "r1");
        assert_eq!(failed.field("retry-after"), (status == 503).then_some("7"));
    }
    assert!(host.objects().is_empty());
}
