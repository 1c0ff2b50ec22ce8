//! Interim responses (status 104): where the host sends them, and that no byte of them lands within another response. hyper
//! cannot send them, so these tests also pin how hyper uses its socket.

use crate::fixture::http2::Http2;
use crate::fixture::{Connection, Server};
use crate::portals::hostile;

const ON: [&str; 2] = ["--interim-responses", "true"];

/// The size of `/big`, in bytes.
const BIG: u64 = 8 << 20;

/// Fails unless the next head is an interim response, and the first of its request with that offset.
#[track_caller]
fn expect_interim(connection: &mut Connection, offset: u32) {
    let head = connection.head();
    let offset = offset.to_string();
    let fields = [("location", Some("/interim/upload")), ("upload-offset", Some(&*offset)), ("content-length", None)];
    head.expect(104, &fields);
    assert_eq!(head.version, "HTTP/1.1");
}

/// Fails unless the next response says this.
#[track_caller]
fn expect_final(connection: &mut Connection, text: &str) {
    let response = connection.response();
    assert_eq!((response.head.status, String::from_utf8_lossy(&response.body).as_ref()), (200, text));
}

#[test]
fn a_head_without_a_body_has_one_before_the_response() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    connection.request("GET /interim/1", &[]);
    expect_interim(&mut connection, 0);
    expect_final(&mut connection, "true 0");
    // One to HEAD is one as well.
    connection.request("HEAD /interim/1", &[]);
    expect_interim(&mut connection, 0);
    assert_eq!(connection.response_to_head().head.status, 200);
    server.finish(&[]);
}

#[test]
fn it_arrives_while_the_body_is_awaited() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    connection.request("POST /interim/1", &[("Content-Length", "10")]);
    expect_interim(&mut connection, 0);
    connection.send("01234");
    connection.send("56789");
    expect_final(&mut connection, "true 10");
    server.finish(&[]);
}

#[test]
fn it_comes_beside_100_continue() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    connection.request("POST /interim/1", &[("Content-Length", "5"), ("Expect", "100-continue")]);
    expect_interim(&mut connection, 0);
    assert_eq!(connection.head().status, 100);
    connection.send("01234");
    expect_final(&mut connection, "true 5");
    server.finish(&[]);
}

#[test]
fn each_request_of_a_connection_has_its_own() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    for body in ["", "0", "012345678"] {
        connection.request("POST /interim/2", &[("Content-Length", &body.len().to_string())]);
        expect_interim(&mut connection, 0);
        expect_interim(&mut connection, 1);
        connection.send(body);
        expect_final(&mut connection, &format!("true true {}", body.len()));
        // A request without any is between them.
        assert_eq!(connection.ask("GET /ok", &[]).body, b"ok");
    }
    server.finish(&[]);
}

#[test]
fn pipelined_requests_keep_their_order() {
    let server = hostile(&ON);
    for _ in 0..5 {
        let mut connection = server.connect();
        let requests: String = (0..5)
            .map(|number| {
                let body = "x".repeat(number);
                format!("POST /interim/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {number}\r\n\r\n{body}")
            })
            .collect();
        connection.send(requests);
        for number in 0..5 {
            expect_interim(&mut connection, 0);
            expect_final(&mut connection, &format!("true {number}"));
        }
        connection.half_close();
        connection.expect_end();
    }
    server.finish(&[]);
}

#[test]
fn an_old_client_gets_none() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    connection.send("POST /interim/2 HTTP/1.0\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
    expect_final(&mut connection, "false false 3");
    connection.expect_end();
    server.finish(&[]);
}

#[test]
fn an_empty_body_is_no_hindrance() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    for fields in [&[("Content-Length", "0")][..], &[("Content-Length", "0"), ("Expect", "100-continue")]] {
        connection.request("POST /interim/1", fields);
        expect_interim(&mut connection, 0);
        expect_final(&mut connection, "true 0");
    }
    connection.request("POST /interim/1", &[("Transfer-Encoding", "chunked")]);
    expect_interim(&mut connection, 0);
    connection.end_chunks();
    expect_final(&mut connection, "true 0");
    server.finish(&[]);
}

#[test]
fn it_arrives_between_the_chunks_of_a_body() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    connection.request("POST /interim/1", &[("Transfer-Encoding", "chunked")]);
    connection.send_chunk(b"before");
    expect_interim(&mut connection, 0);
    connection.send_chunk(b"after");
    connection.end_chunks();
    expect_final(&mut connection, "true 11");
    // The connection is used on.
    assert_eq!(connection.ask("GET /ok", &[]).body, b"ok");
    server.finish(&[]);
}

#[test]
fn a_request_has_three_at_most() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.request("GET /interim/5", &[]);
        (0..3).for_each(|offset| expect_interim(&mut connection, offset));
        expect_final(&mut connection, "true true true false false 0");
    }
    server.finish(&[]);
}

#[test]
fn no_bad_one_is_sent() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.request("GET /interim/bad", &[]);
        expect_final(&mut connection, "0 of 23 sent");
    }
    server.finish(&[]);
}

#[test]
fn none_is_sent_within_a_response() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    for _ in 0..50 {
        connection.request("GET /interim/after", &[]);
        // The response may not be on its way when the guest has set it. One that is sent then still comes before.
        let head = connection.head();
        let early = head.status == 104;
        let head = if early { connection.head() } else { head };
        let mut text = Vec::new();
        connection.body(&head, |_, bytes| text.extend_from_slice(bytes)).expect("the whole body");
        assert_eq!((head.status, String::from_utf8_lossy(&text).trim()), (200, if early { "true" } else { "false" }));
    }
    server.finish(&[]);
}

#[test]
fn none_lands_within_a_response_that_the_client_reads_slowly() {
    let server = hostile(&ON);
    let mut connection = server.connect();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.send([request("/big"), request("/interim/1"), request("/big"), request("/interim/1")].concat());
    for _ in 0..2 {
        let head = connection.head();
        head.expect(200, &[("content-length", Some(&*BIG.to_string()))]);
        let read = connection.body(&head, |_, bytes| assert!(bytes.iter().all(|byte| *byte == b'x')));
        assert_eq!(read.expect("the whole body"), BIG);
        let head = connection.head();
        let sent = head.status == 104;
        let head = if sent { connection.head() } else { head };
        let mut text = Vec::new();
        connection.body(&head, |_, bytes| text.extend_from_slice(bytes)).expect("the whole body");
        assert_eq!((head.status, String::from_utf8_lossy(&text).into_owned()), (200, format!("{sent} 0")));
    }
    connection.half_close();
    connection.expect_end();
    server.finish(&[]);
}

#[test]
fn none_is_sent_unless_the_operator_wants_it() {
    let never = |server: Server| {
        let mut connection = server.connect();
        connection.request("GET /interim/2", &[]);
        expect_final(&mut connection, "false false 0");
        server.finish(&[]);
    };
    never(hostile(&[]));
    never(hostile(&["--interim-responses", "false"]));
}

#[tokio::test]
async fn http2_has_none() {
    let server = hostile(&ON);
    let client = Http2::open(&server).await;
    let (head, body) = client.ask("GET", "/interim/1").await;
    assert_eq!((head.status.as_u16(), &*body), (200, b"false 0".as_slice()));
    client.close().await;
    server.finish(&[]);
}
