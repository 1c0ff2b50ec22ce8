//! Clients that are slow without stalling, and those that stall beside them.

use crate::fixture::http2::{Http2, in_time};
use crate::fixture::slow::Slow;
use crate::fixture::{Pattern, Server, eventually};
use h2::client::Builder;
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn slow_and_steady_clients_get_and_give_everything() {
    let slow = Slow::wanted();
    let server = Server::start(&[slow.flags, &["--log-format", "json"]].concat());
    let file = server.put("slow", &slow.content(1));
    let put = slow.all(server.addr, server.addr, &file);
    let exchanges = eventually("the end of all exchanges", || {
        let all = server.exchanges();
        // Each client of HTTP/2 has asked for something small at its end.
        (all.len() == 1 + 5 + 3).then_some(all)
    });
    for exchange in exchanges {
        assert_eq!((&exchange["cut"], &exchange["why"]), (&Value::Bool(false), &Value::Null), "{exchange}");
    }
    server.finish(&[&[&file], &*put.iter().collect::<Vec<_>>()].concat());
}

#[tokio::test]
async fn a_stream_that_stands_still_is_reset_beside_one_that_is_slow() {
    let server = Server::start(&["--body-idle-timeout", "2s", "--log-format", "json"]);
    let file = server.put("slow", &Pattern::new(1, 24 << 20));
    let mut builder = Builder::new();
    builder.initial_window_size(64 << 10).initial_connection_window_size(8 << 20);
    let stream = tokio::net::TcpStream::connect(server.addr).await.expect("the server accepts");
    let connection = Http2::over(stream, server.addr, &builder).await;
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let (response, _) = connection.begin("GET", &file.path(), &[], true).await;
        bodies.push(in_time(response).await.expect("a response").into_body());
    }
    let (mut slow, mut standing) = (bodies.remove(0), bodies.remove(0));
    // Nothing of it is given back, so no more than the window comes.
    let standing = async move {
        let began = Instant::now();
        let mut received = 0;
        loop {
            match standing.data().await.expect("no end") {
                Ok(bytes) => received += bytes.len(),
                Err(error) => return (began.elapsed(), received, error),
            }
        }
    };
    let mut standing = Some(tokio::spawn(standing));
    let mut at = 0;
    while let Some(bytes) = in_time(slow.data()).await {
        let bytes = bytes.expect("the whole of the file");
        file.content.expect(at, &bytes);
        at += bytes.len() as u64;
        slow.flow_control().release_capacity(bytes.len()).expect("what was received");
        // It is slow until the other one has gone, which does not depend on its end.
        if standing.as_ref().is_some_and(|standing| !standing.is_finished()) {
            tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / 200_000.0)).await;
        } else if let Some(ended) = standing.take() {
            let (took, received, error) = ended.await.expect("it does not panic");
            assert!(at < file.content.size(), "the slow one has ended before");
            assert!(received <= 64 << 10 && error.is_reset() && error.is_remote(), "{received} bytes, then {error:?}");
            assert!(took >= Duration::from_secs(2), "{took:?}");
        }
    }
    assert_eq!(at, file.content.size());
    assert!(standing.is_none(), "a stream stands still for ever");
    expect_cut(&server, "client-stalled", 1);
    connection.close().await;
    server.finish(&[&file]);
}

#[tokio::test]
async fn a_stream_that_never_has_room_is_reset() {
    let server = Server::start(&["--body-idle-timeout", "300ms", "--log-format", "json"]);
    let file = server.put("unread", &Pattern::new(1, 1 << 20));
    let connection = Http2::open_with(&server, Builder::new().initial_window_size(0)).await;
    for path in [&*file.path(), "/metrics"] {
        let (response, _) = connection.begin("GET", path, &[], true).await;
        let mut response = in_time(response).await.expect("a response");
        let error = in_time(response.body_mut().data()).await.expect("no end").expect_err("a stream that is reset");
        assert!(error.is_reset() && error.is_remote(), "{path}: {error:?}");
    }
    expect_cut(&server, "client-stalled", 2);
    connection.cut().await;
    server.finish(&[&file]);
}

#[test]
fn a_client_that_reads_below_the_least_rate_is_cut_off() {
    let server = Server::start(&["--body-idle-timeout", "1s", "--body-min-rate", "8MiB", "--log-format", "json"]);
    let file = server.put("slow", &Pattern::new(1, 64 << 20));
    let mut connection = server.connect();
    connection.request(&format!("GET {}", file.path()), &[]);
    let head = connection.head();
    let cut = connection.body(&head, |at, bytes| {
        file.content.expect(at, bytes);
        std::thread::sleep(Duration::from_secs_f64(bytes.len() as f64 / 400_000.0));
    });
    cut.expect_err("a body that is cut off");
    expect_cut(&server, "client-slow", 1);
    server.finish(&[&file]);
}

/// Fails unless so many responses have been cut off, for that reason.
fn expect_cut(server: &Server, why: &str, count: usize) {
    let cut = eventually("the ends of what was cut off", || {
        let cut: Vec<Value> = server.exchanges().into_iter().filter(|exchange| exchange["cut"] == true).collect();
        (cut.len() >= count).then_some(cut)
    });
    assert!(cut.len() == count && cut.iter().all(|exchange| exchange["why"] == why), "{cut:?}");
}
