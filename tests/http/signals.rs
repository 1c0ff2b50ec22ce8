//! Signals: what runs is finished, what cannot be finished in time is cut off, and nothing half-written stays.

use crate::Store;
use crate::fixture::{Connection, Pattern, Server, Stored, eventually, portico};
use rustix::process::{Pid, Signal, kill_process};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Instant;

/// Half of a put.
const HALF: u64 = if Store::shows() > 1 << 20 { Store::shows() } else { 1 << 20 };

/// Begins a put whose guest is running and has half of the body.
fn begun(server: &Server, content: &Pattern) -> Connection {
    let mut connection = server.connect();
    let length = content.size().to_string();
    connection.request("PUT /files/running", &[("Content-Length", &length), ("Expect", "100-continue")]);
    assert_eq!(connection.head().status, 100);
    content.pieces_of(0..HALF).for_each(|piece| connection.send(piece));
    eventually("a staged file", || (!server.store.leftovers().is_empty()).then_some(()));
    connection
}

fn expect_refusal(server: &Server) {
    eventually("no more connections", || {
        let refused = TcpStream::connect(server.addr).err()?;
        // One that stands in the queue of a socket that is being closed is reset: the next one is refused.
        assert!(matches!(refused.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset), "{refused}");
        (refused.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
}

#[test]
fn a_running_put_is_finished() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut server = Server::start(&["--shutdown-grace", "60s"]);
        let kept = server.put("kept", &Pattern::new(1, 1_000));
        let content = Pattern::new(2, 2 * HALF);
        let mut connection = begun(&server, &content);
        let mut idle = server.connect();
        assert_eq!(idle.ask("GET /health", &[]).head.status, 200);

        server.signal(signal);
        expect_refusal(&server);
        idle.expect_end();
        content.pieces_of(HALF..2 * HALF).for_each(|piece| connection.send(piece));
        let response = connection.response();
        let file = Stored::new(&response, &content);
        connection.expect_end();
        assert_eq!(server.wait().code(), Some(0));
        server.store.expect_files(&[&kept, &file]);
        server.store.expect_listing(&[&kept, &file]);
    }
}

#[test]
fn a_running_get_is_finished() {
    let mut server = Server::start(&["--shutdown-grace", "60s"]);
    // More than the buffers of the kernel take, so that it is under way for as long as it is not read.
    let file = server.put("read", &Pattern::new(1, 48 << 20));
    let mut connection = server.connect();
    connection.request(&format!("GET {}", file.path()), &[]);
    let head = connection.head();
    server.signal(Signal::TERM);
    expect_refusal(&server);
    connection.expect_content(&head, &file.content, 0..file.content.size());
    connection.expect_end();
    assert_eq!(server.wait().code(), Some(0));
    server.store.expect_listing(&[&file]);
}

#[test]
fn what_takes_longer_than_the_grace_is_cut_off_and_leaves_nothing() {
    let mut server = Server::start(&["--shutdown-grace", "200ms"]);
    let connection = begun(&server, &Pattern::new(2, 2 * HALF));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let told = connection.drain_to_end();
    assert!(!told.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&told));
    server.store.expect_files(&[]);
    server.store.expect_listing(&[]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--shutdown-grace", "1h"]);
    let kept = server.put("kept", &Pattern::new(1, 1_000));
    let connection = begun(&server, &Pattern::new(2, 2 * HALF));
    server.signal(Signal::TERM);
    expect_refusal(&server);
    server.signal(Signal::TERM);
    let start = Instant::now();
    assert_eq!(server.wait().signal(), Some(Signal::TERM.as_raw()));
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    assert_eq!(connection.drain_to_end(), b"");
    // Such an end leaves what a start or a sweep removes.
    server.store.clear_up();
    let again = Server::start_on(&server.store, &[]);
    again.expect_file(&kept);
    again.finish(&[&kept]);
}

#[test]
fn silent_clients_do_not_hold_it_up() {
    let mut server = Server::start(&["--shutdown-grace", "1h"]);
    let silent = server.connect();
    let mut within_a_head = server.connect();
    within_a_head.send("GET /files/x HTTP/1.1\r\nHo");
    let mut between_requests = server.connect();
    assert_eq!(between_requests.ask("GET /health", &[]).head.status, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    silent.expect_end();
    between_requests.expect_end();
    within_a_head.drain_to_end();
}

#[test]
fn it_ends_while_its_store_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("--s3-endpoint=http://{}", silent.local_addr().expect("a port"));
    let mut command = portico(["serve", "--store=s3://bucket", "--s3-region=us-east-1", "--s3-timeout=1h", &*endpoint]);
    command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let (_connection, _) = silent.accept().expect("its request");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let said = child.wait_with_output().expect("its end");
    assert_eq!((said.status.code(), &*said.stdout), (Some(0), &b""[..]), "{said:?}");
}
