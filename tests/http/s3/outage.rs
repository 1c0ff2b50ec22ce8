//! The S3 server goes away, and comes back.

use crate::bucket::block;
use crate::fixture::{Pattern, Server, eventually};
use crate::{S3Server, Store, finish_after_failures};
use portico_test_servers::{Fault, FaultProxy};
use std::io::ErrorKind;
use std::sync::Arc;

/// A server whose store is behind a proxy.
fn behind_a_proxy(s3: &Arc<S3Server>) -> (Server, FaultProxy) {
    behind_a_proxy_with(s3, "3s")
}

/// One that repeats what fails for that long.
pub(crate) fn behind_a_proxy_with(s3: &Arc<S3Server>, retry: &'static str) -> (Server, FaultProxy) {
    let proxy = block(FaultProxy::start(s3));
    let mut store = Store::on(s3);
    store.endpoint = proxy.endpoint().to_owned();
    store.retry = retry;
    (Server::start_on(&Arc::new(store), &[]), proxy)
}

pub(crate) fn a_put_in_the_middle_of_which_the_store_goes_is_told_so(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy(s3);
    let kept = server.put("kept", &Pattern::new(1, 1_000));
    let content = Pattern::new(2, 40 << 20);
    let length = content.size().to_string();
    for field in [("Content-Length", &*length), ("Transfer-Encoding", "chunked")] {
        let is_chunked = field.1 == "chunked";
        let mut connection = server.connect();
        connection.request("PUT /files/cut", &[field]);
        let send = |connection: &mut crate::fixture::Connection, piece: &[u8]| {
            if is_chunked {
                connection.try_send(format!("{:x}\r\n", piece.len()))?;
                connection.try_send(piece)?;
                return connection.try_send("\r\n");
            }
            connection.try_send(piece)
        };
        for piece in content.pieces_of(0..12 << 20) {
            send(&mut connection, piece).expect("the server takes what it is sent");
        }
        eventually("an upload under way", || (!server.store.leftovers().is_empty()).then_some(()));
        proxy.plan_all(1, Fault::ResetBefore);
        // It answers when it has given up, and then may not take all of the rest.
        let _ = content.pieces_of(12 << 20..40 << 20).try_for_each(|piece| send(&mut connection, piece));
        let _ = if is_chunked { connection.try_send("0\r\n\r\n") } else { Ok(()) };
        connection.response().expect_problem(503, "unavailable");
        proxy.clear();
        server.expect_file(&kept);
    }
    let after = server.put("after", &content);
    finish_after_failures(s3, server, &[&kept, &after]);
}

pub(crate) fn a_get_in_the_middle_of_which_the_store_goes_is_cut_off(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy(s3);
    let file = server.put("read", &Pattern::new(1, 20 << 20));
    let mut connection = server.connect();
    // The first request for the content ends in its middle, and all requests after it do not begin.
    proxy.only(|line| line.starts_with("GET ") && line.contains("/final/"));
    proxy.plan(1, Fault::CutHalf);
    proxy.plan_all(2, Fault::ResetBefore);
    connection.request(&format!("GET {}", file.path()), &[]);
    let head = connection.head();
    head.expect(200, &[("content-length", Some("20971520"))]);
    let mut seen = 0;
    let cut = connection.body(&head, |at, bytes| {
        file.content.expect(at, bytes);
        seen = at + bytes.len() as u64;
    });
    let cut = cut.expect_err("a body that is cut off");
    assert!(matches!(cut.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{cut}");
    assert!(seen > 0 && seen < file.content.size(), "{seen} bytes");
    // One that has not begun is told.
    server.ask(&format!("GET {}", file.path()), &[]).expect_problem(503, "unavailable");

    // A request that ends in its middle while the store is there is no failure.
    proxy.clear();
    proxy.only(|line| line.starts_with("GET ") && line.contains("/final/"));
    proxy.plan(1, Fault::CutHalf);
    server.expect_file(&file);
    server.finish(&[&file]);
}

pub(crate) fn it_says_that_it_is_not_ready(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy(s3);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);
    proxy.plan_all(1, Fault::ResetBefore);
    // An answer is kept for a moment.
    eventually("a store that is not ready", || (server.ask("GET /ready", &[]).head.status == 503).then_some(()));
    // It is alive nevertheless.
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    server.ask(&format!("GET {}", file.path()), &[]).expect_problem(503, "unavailable");
    server.ask(&format!("DELETE {}", file.path()), &[]).expect_problem(503, "unavailable");
    proxy.clear();
    eventually("a store that is ready", || (server.ask("GET /ready", &[]).head.status == 200).then_some(()));
    server.expect_file(&file);
    assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    server.finish(&[]);
}
