//! Clients that are slow, that stall, and that go away.

use crate::Store;
use crate::fixture::{Pattern, Server, Stored, eventually};
use std::io::ErrorKind;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_client_that_is_slow_without_stalling_is_served() {
    let server = Server::start(&["--body-idle-timeout", "3s"]);
    // Each way takes longer in all than a client may stand still.
    let content = Pattern::new(1, 24 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let content = Pattern::new(2, 80);
            let mut connection = server.connect();
            connection.request("PUT /files/slow", &[("Content-Length", "80")]);
            for piece in 0..80 {
                sleep(Duration::from_millis(50));
                connection.send(content.piece(piece, 1));
            }
            let file = Stored::new(&connection.response(), &content);
            assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
        });
        scope.spawn(|| {
            let file = server.put("slow", &content);
            let mut connection = server.connect();
            connection.request(&format!("GET {}", file.path()), &[]);
            let head = connection.head();
            let mut read = 0;
            let all = connection.body(&head, |at, bytes| {
                content.expect(at, bytes);
                if at / (256 << 10) != (at + bytes.len() as u64) / (256 << 10) {
                    sleep(Duration::from_millis(40));
                }
                read += bytes.len();
            });
            assert_eq!(all.expect("the whole of the file"), content.size());
            assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
        });
    });
    server.finish(&[]);
}

#[test]
fn a_client_that_stops_sending_is_told_and_leaves_nothing() {
    let server = Server::start(&["--body-idle-timeout", "300ms"]);
    let content = Pattern::new(1, 1 << 20);
    for sent in [0, 1, 700 << 10] {
        for (field, value) in [("Content-Length", "1048576"), ("Transfer-Encoding", "chunked")] {
            let mut connection = server.connect();
            connection.request("PUT /files/stalled", &[(field, value)]);
            if field == "Content-Length" {
                content.pieces_of(0..sent).for_each(|piece| connection.send(piece));
            } else if sent > 0 {
                connection.send_chunk(content.piece(0, sent));
            }
            let refused = connection.response();
            let problem = refused.expect_problem(408, "stalled");
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with(&format!("{sent} bytes"))));
            assert_eq!(refused.head.field("connection"), Some("close"));
            connection.expect_end();
            server.expect_files(&[]);
        }
    }
    server.finish(&[]);
}

#[test]
fn a_client_below_the_least_rate_is_told_and_leaves_nothing() {
    let server = Server::start(&["--body-idle-timeout", "500ms", "--body-min-rate", "1MiB"]);
    let mut connection = server.connect();
    connection.request("PUT /files/slow", &[("Content-Length", "1000000")]);
    // It never stands still for long.
    for _ in 0..100 {
        sleep(Duration::from_millis(10));
        if connection.try_send([0; 100]).is_err() {
            break;
        }
    }
    connection.response().expect_problem(408, "stalled");
    connection.expect_end();
    // Who is fast enough does not notice.
    let file = server.put("fast", &Pattern::new(1, 4 << 20));
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn clients_that_stop_reading_are_cut_off_and_cost_little() {
    const CLIENTS: usize = 16;
    let server = Server::start(&["--body-idle-timeout", "500ms", "--log-format", "json"]);
    // More than the buffers of the kernel take.
    let file = server.put("unread", &Pattern::new(1, 64 << 20));
    server.expect_file(&file);
    server.reset_peak();
    let before = server.peak();
    // Those of the put and the get, whose lines may come after their responses.
    let exchanges = 2;
    eventually("the exchanges so far", || (server.exchanges().len() == exchanges).then_some(()));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut connection = server.connect();
            connection.request(&format!("GET {}", file.path()), &[]);
            let head = connection.head();
            assert_eq!(head.status, 200);
            (connection, head)
        })
        .collect();
    let ended = eventually("the end of all exchanges", || {
        let ended = server.exchanges().split_off(exchanges);
        (ended.len() == CLIENTS).then_some(ended)
    });
    for exchange in ended {
        assert!(exchange["sent"].as_u64().is_some_and(|sent| sent < file.content.size()), "{exchange}");
        assert_eq!((&exchange["cut"], &exchange["why"]), (&true.into(), &"client-stalled".into()), "{exchange}");
    }
    let grown = server.peak().saturating_sub(before);
    let each = (2 << 20) + Store::reads_ahead();
    assert!(grown < CLIENTS as u64 * each, "{grown} bytes more than before for {CLIENTS} clients");
    // What a client finds when it reads on cannot be taken for the whole.
    for (connection, head) in &mut clients {
        let cut =
            connection.body(head, |at, bytes| file.content.expect(at, bytes)).expect_err("a body that is cut off");
        assert!(matches!(cut.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{cut}");
    }
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let server = Server::start(&["--log-format", "json"]);
    let content = Pattern::new(1, 12 << 20);
    let file = server.put("kept", &content);
    let mut exchanges = 1;
    eventually("the exchange of the put", || (server.exchanges().len() == exchanges).then_some(()));
    let mut gone = || {
        exchanges += 1;
        eventually("the end of the exchange", || (server.exchanges().len() >= exchanges).then_some(()));
    };
    for sent in [0, 1, 100_000, 9 << 20] {
        for reset in [true, false] {
            let mut connection = server.connect();
            connection.request("PUT /files/gone", &[("Content-Length", "12582912"), ("Expect", "100-continue")]);
            assert_eq!(connection.head().status, 100);
            content.pieces_of(0..sent).for_each(|piece| connection.send(piece));
            if sent >= Store::shows() {
                eventually("a staged file", || (!server.store.leftovers().is_empty()).then_some(()));
            }
            if reset {
                connection.reset()
            } else {
                drop(connection)
            }
            gone();
            server.expect_files(&[&file]);

            let mut connection = server.connect();
            connection.request(&format!("GET {}", file.path()), &[]);
            let head = connection.head();
            assert_eq!(head.status, 200);
            if reset {
                connection.reset()
            } else {
                drop(connection)
            }
            gone();
        }
    }
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn a_file_that_is_deleted_while_it_is_read_is_read_to_its_end() {
    let server = Server::start(&[]);
    // More than the buffers of the kernel take.
    let file = server.put("deleted", &Pattern::new(1, 48 << 20));
    let mut connection = server.connect();
    connection.request(&format!("GET {}", file.path()), &[]);
    let head = connection.head();
    assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    server.ask(&format!("GET {}", file.path()), &[]).expect_problem(410, "gone");
    server.expect_files(&[]);
    connection.expect_content(&head, &file.content, 0..file.content.size());
    server.finish(&[]);
}

#[test]
fn silence_ends_a_connection() {
    let server = Server::start(&["--head-timeout", "300ms", "--keep-alive", "300ms"]);
    // Before the first byte, within a head, between two requests.
    server.connect().expect_end();
    let mut connection = server.connect();
    connection.send("GET /files/x HTTP/1.1\r\nHost: local");
    match connection.try_head() {
        Ok(head) => assert_eq!(head.status, 408),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}"),
    }
    connection.expect_end();
    let mut connection = server.connect();
    connection.ask("GET /files/x", &[]).expect_problem(404, "not-found");
    connection.expect_end();
    // A head that comes byte by byte, never standing still, is not waited for either.
    let mut connection = server.connect();
    let dripped = "GET /files/x HTTP/1.1\r\nHost: localhost\r\nX-Long: ".bytes().chain(std::iter::repeat(b'x'));
    let cut = dripped.take(500).any(|byte| {
        sleep(Duration::from_millis(20));
        connection.try_send([byte]).is_err()
    });
    assert!(cut, "a head of 10 seconds is read to its end");
    server.finish(&[]);
}
