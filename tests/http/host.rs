//! What the host answers and decides itself: whom it talks to, whether it is alive and ready, ids of requests.

use crate::fixture::stored::{CREATED_AT, receipt};
use crate::fixture::{Pattern, Server, eventually};
use serde_json::Value;

/// Asks under a name.
fn status_under(server: &Server, host: &str) -> u16 {
    let mut connection = server.connect();
    connection.send(format!("GET /files/x HTTP/1.1\r\n{host}\r\n"));
    let response = connection.response();
    match response.head.status {
        404 => _ = response.expect_problem(404, "not-found"),
        status => _ = response.expect_host_problem(status),
    }
    response.head.status
}

#[test]
fn a_page_of_another_site_gets_nothing() {
    let server = Server::start(&[]);
    let port = server.addr.port();
    for name in [
        "localhost".to_owned(),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
        format!("127.0.0.1:{port}"),
        "127.1.2.3".to_owned(),
        "[::1]:80".to_owned(),
    ] {
        assert_eq!(status_under(&server, &format!("Host: {name}\r\n")), 404, "{name}");
    }
    for name in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.evil.example".to_owned(),
        "notlocalhost".to_owned(),
        "192.168.0.1".to_owned(),
        "0.0.0.0".to_owned(),
        "[::2]".to_owned(),
        "[::ffff:7f00:1]".to_owned(),
        "127.1".to_owned(),
        "2130706433".to_owned(),
    ] {
        assert_eq!(status_under(&server, &format!("Host: {name}\r\n")), 421, "{name}");
    }
    for hosts in [
        "",
        "Host:\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: localhost:80@evil.example\r\n",
    ] {
        assert_eq!(status_under(&server, hosts), 400, "{hosts:?}");
    }
    // The target names a host too, and counts before the field.
    let mut connection = server.connect();
    connection.send("GET http://evil.example/files/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.response().expect_host_problem(421);

    // And nothing is stored for it.
    let mut connection = server.connect();
    connection.send("PUT /files/x HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 3\r\n\r\nabc");
    connection.response().expect_host_problem(421);
    connection.expect_end();
    server.finish(&[]);
}

#[test]
fn it_says_that_it_is_alive_and_ready() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for (path, text) in [("/health", "alive\n"), ("/ready", "ready\n")] {
        let response = connection.ask(&format!("GET {path}"), &[]);
        assert_eq!(response.body, text.as_bytes());
        let told = [("content-type", Some("text/plain; charset=utf-8")), ("cache-control", Some("no-store"))];
        response.head.expect(200, &told);
        let length = text.len().to_string();
        connection.ask(&format!("HEAD {path}"), &[]).head.expect(200, &[("content-length", Some(&*length))]);
        for method in ["DELETE", "POST", "OPTIONS", "TRACE", "ANYTHING"] {
            let refused = connection.ask(&format!("{method} {path}"), &[]);
            refused.expect_host_problem(405);
            refused.head.expect(405, &[("allow", Some("GET, HEAD"))]);
        }
    }
    // A probe of a machine names it as it likes.
    connection.send("GET /health HTTP/1.1\r\nHost: node-7.cluster.example\r\n\r\n");
    assert_eq!(connection.response().head.status, 200);
    server.finish(&[]);
}

#[test]
fn a_request_has_an_id_and_a_stranger_cannot_choose_it() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let ids: Vec<String> = (0..3)
        .map(|_| {
            let head = connection.ask("GET /files/x", &[("X-Request-Id", "chosen")]).head;
            head.field("x-request-id").expect("an id").to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    server.finish(&[]);

    let server = Server::start(&["--trusted-proxies", "127.0.0.1,::1"]);
    let mut connection = server.connect();
    let mut id_for = |given: &str| {
        let head = connection.ask("GET /files/x", &[("X-Request-Id", given)]).head;
        head.field("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(id_for("chosen-1.2_3"), "chosen-1.2_3");
    for refused in ["with space", "quote\"", "", &"x".repeat(65)] {
        assert_eq!(id_for(refused).len(), 32, "{refused}");
    }
    server.finish(&[]);

    // An address of IPv4 is the same however it is written.
    let server = Server::start(&["--trusted-proxies", "::ffff:127.0.0.1"]);
    let head = server.ask("GET /files/x", &[("X-Request-Id", "chosen")]).head;
    assert_eq!(head.field("x-request-id"), Some("chosen"));
    server.finish(&[]);
}

#[test]
fn each_exchange_is_one_line_of_the_log() {
    let server = Server::start(&["--log-format", "json"]);
    let content = Pattern::new(1, 70_000);
    let file = server.put("logged", &content);
    server.expect_file(&file);
    let mut connection = server.connect();
    let head = connection.ask("DELETE /files/nothing?secret=1", &[]).head;
    let id = head.field("x-request-id").expect("an id").to_owned();
    drop(connection);
    let lines = eventually("three exchanges in the log", || {
        let lines = server.exchanges();
        (lines.len() == 3).then_some(lines)
    });
    let told = |line: &Value| {
        ["method", "path", "status", "received", "sent", "cut"].map(|name| line[name].to_string()).join(" ")
    };
    let mut receipt = receipt(&server.store, &file, "application/octet-stream", "logged");
    receipt["created_at"] = "t".repeat(CREATED_AT).into();
    let receipt = serde_json::to_vec(&receipt).unwrap();
    assert_eq!(told(&lines[0]), format!("\"PUT\" \"/files/logged\" 201 70000 {} false", receipt.len()));
    assert_eq!(told(&lines[1]), format!("\"GET\" \"{}\" 200 0 70000 false", file.path()));
    assert_eq!(lines[2]["path"], "/files/nothing", "without the query");
    assert_eq!(lines[2]["request"], id);
    server.finish(&[&file]);
}
