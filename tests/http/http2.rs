//! HTTP/2 with prior knowledge: many streams on one connection, each of which fails alone.

use crate::Store;
use crate::fixture::http2::{FRAME, Http2, document, expect_problem, in_time, send, stored};
use crate::fixture::{Pattern, Server, eventually_async};
use bytes::Bytes;
use h2::Reason;
use h2::client::Builder;
use http::{Request, StatusCode};
use rustix::process::Signal;

#[tokio::test]
async fn files_of_all_sizes_and_their_conditions() {
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let mut files = Vec::new();
    for (seed, size) in [0, 1, 65_535, 65_537, (512 << 10) + 1, 5 << 20].into_iter().enumerate() {
        let file = connection.put(&Pattern::new(seed as u64, size)).await;
        connection.expect_file(&file).await;
        let (head, body) = connection.ask("HEAD", &file.path()).await;
        assert_eq!((head.status, body.len()), (StatusCode::OK, 0));
        assert_eq!(head.headers["content-length"], size.to_string());
        assert_eq!(head.headers["etag"], format!("\"{}\"", file.content.sha256_hex()));
        files.push(file);
    }
    let gone = files.remove(2);
    assert_eq!(connection.ask("DELETE", &gone.path()).await.0.status, StatusCode::NO_CONTENT);
    assert_eq!(connection.ask("GET", &gone.path()).await.0.status, StatusCode::GONE);
    assert_eq!(connection.ask("GET", "/files/nothing").await.0.status, StatusCode::NOT_FOUND);
    assert_eq!(connection.ask("POST", "/files/nothing").await.0.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(connection.ask("GET", "/health").await.1, b"alive\n");
    let (response, _) = connection.begin("GET", &files[3].path(), &[("range", "bytes=5-9")], true).await;
    let (head, body) = document(in_time(response).await.expect("a response")).await;
    assert_eq!((head.status, body.len()), (StatusCode::PARTIAL_CONTENT, 5));
    files[3].content.expect(5, &body);
    connection.close().await;
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn many_streams_of_one_connection_at_once() {
    const STREAMS: u64 = 100;
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let contents: Vec<_> = (0..STREAMS).map(|stream| Pattern::new(stream, 50_000 + 1_009 * stream)).collect();
    let mut open = Vec::new();
    for _ in &contents {
        open.push(connection.begin("PUT", "/files/one-of-many", &[], false).await);
    }
    // Piece by piece in turn, so that all of them are under way from the first piece to the last.
    for at in (0..contents[STREAMS as usize - 1].size()).step_by(FRAME as usize) {
        for ((_, body), content) in open.iter_mut().zip(&contents) {
            send(body, content, at.min(content.size()), content.size().min(at + FRAME)).await;
        }
    }
    let mut files = Vec::new();
    for ((response, mut body), content) in open.into_iter().zip(&contents) {
        body.send_data(Bytes::new(), true).expect("the end of the body");
        files.push(stored(in_time(response).await.expect("a response"), content).await);
    }
    for file in &files {
        connection.expect_file(file).await;
    }
    connection.close().await;
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_is_reset_leaves_nothing_and_the_others_go_on() {
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let content = Pattern::new(1, 300_000);
    let (survivor, mut survivors_body) = connection.begin("PUT", "/files/survivor", &[], false).await;
    send(&mut survivors_body, &content, 0, 100_000).await;
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::NO_ERROR] {
        for (sent, fields) in [(0, [].as_slice()), (100_000, &[]), (100_000, &[("content-length", "300000")])] {
            let (response, mut body) = connection.begin("PUT", "/files/reset", fields, false).await;
            send(&mut body, &content, 0, sent).await;
            body.send_reset(reason);
            in_time(response).await.expect_err("a stream that is reset");
        }
    }
    send(&mut survivors_body, &content, 100_000, 300_000).await;
    survivors_body.send_data(Bytes::new(), true).expect("the end of the body");
    let file = stored(in_time(survivor).await.expect("a response"), &content).await;
    connection.expect_file(&file).await;
    connection.close().await;
    server.finish(&[&file]);
}

#[tokio::test]
async fn a_length_that_is_not_kept_leaves_nothing() {
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let content = Pattern::new(1, 100_000);
    for length in ["99999", "100001", "0"] {
        let (response, mut body) = connection.begin("PUT", "/files/odd", &[("content-length", length)], false).await;
        send(&mut body, &content, 0, 50_000.min(content.size())).await;
        send(&mut body, &content, 50_000, content.size()).await;
        let _ = body.send_data(Bytes::new(), true);
        match in_time(response).await {
            Ok(response) => assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{length}"),
            Err(error) => assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR), "{length}"),
        }
        server.expect_files(&[]);
    }
    let file = connection.put(&content).await;
    connection.close().await;
    server.finish(&[&file]);
}

#[tokio::test]
async fn an_early_answer_ends_its_stream_and_not_the_connection() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let connection = Http2::open(&server).await;
    let content = Pattern::new(1, 4 << 20);
    for fields in [[("content-length", "4194304")].as_slice(), &[]] {
        let (response, mut body) = connection.begin("PUT", "/files/large", fields, false).await;
        if fields.is_empty() {
            send(&mut body, &content, 0, (1 << 20) + 1).await;
        }
        expect_problem(in_time(response).await.expect("a response"), 413, "/problems/too-large").await;
    }
    let file = connection.put(&Pattern::new(2, 1 << 20)).await;
    connection.close().await;
    server.finish(&[&file]);
}

#[tokio::test]
async fn a_stalled_stream_stalls_no_other_and_is_cut_off() {
    let server = Server::start(&["--body-idle-timeout", "1s"]);
    let connection = Http2::open(&server).await;
    let file = connection.put(&Pattern::new(1, 16 << 20)).await;
    let (reading, _) = connection.begin("GET", &file.path(), &[], true).await;
    let mut reading = in_time(reading).await.expect("a response");
    let (writing, mut body) = connection.begin("PUT", "/files/stalled", &[], false).await;
    send(&mut body, &file.content, 0, 100_000).await;

    // One is not read, the other not sent on; meanwhile others come and go.
    let small = connection.put(&Pattern::new(2, 2 << 20)).await;
    connection.expect_file(&small).await;
    expect_problem(in_time(writing).await.expect("a response"), 408, "/problems/stalled").await;
    let cut = async {
        let mut received = 0;
        while let Some(bytes) = reading.body_mut().data().await {
            match bytes {
                // Nothing is given back, so no more than the window comes.
                Ok(bytes) => received += bytes.len() as u64,
                Err(error) => return (received, error),
            }
        }
        panic!("the body ends as if it were whole, after {received} bytes");
    };
    let (received, error) = in_time(cut).await;
    assert!(received <= 8 << 20 && error.is_reset() && error.is_remote(), "{received} bytes, then {error:?}");

    connection.expect_file(&small).await;
    connection.close().await;
    server.finish(&[&file, &small]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_when_its_files_are_all_on_their_way() {
    let server = Server::start(&["--body-idle-timeout", "300ms", "--keep-alive", "300ms"]);
    let file = server.put("unread", &Pattern::new(1, 100_000));
    // The windows have room for less than the file, whose guest has written all of it nevertheless.
    let connection = Http2::open_with(&server, Builder::new().initial_window_size(65_535)).await;
    let mut responses = Vec::new();
    for _ in 0..20 {
        let (response, _) = connection.begin("GET", &file.path(), &[], true).await;
        responses.push(in_time(response).await.expect("a response"));
    }
    let ended = in_time(connection.driver).await.expect("a task that returns");
    assert!(ended.is_ok() || ended.is_err_and(|error| error.is_io() || error.is_remote()));
    for mut response in responses {
        let mut received = 0;
        let cut = loop {
            match in_time(response.body_mut().data()).await {
                Some(Ok(bytes)) => received += bytes.len(),
                Some(Err(error)) => break error,
                None => panic!("{received} bytes look like the whole"),
            }
        };
        assert!(received < 100_000, "{received} bytes, then {cut}");
    }
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[tokio::test]
async fn a_server_that_stops_finishes_the_streams_that_run() {
    let mut server = Server::start(&["--shutdown-grace", "60s"]);
    let connection = Http2::open(&server).await;
    let half = Store::shows().max(1 << 20);
    let content = Pattern::new(1, 2 * half);
    let (response, mut body) = connection.begin("PUT", "/files/running", &[], false).await;
    send(&mut body, &content, 0, half).await;
    eventually_async("a staged file", async || (!server.store.leftovers().is_empty()).then_some(())).await;
    server.signal(Signal::TERM);
    // It says so, and takes no more streams.
    eventually_async("no more streams", async || in_time(connection.requests.clone().ready()).await.err()).await;
    send(&mut body, &content, half, 2 * half).await;
    body.send_data(Bytes::new(), true).expect("the end of the body");
    let file = stored(in_time(response).await.expect("a response"), &content).await;
    connection.cut().await;
    assert_eq!(server.wait().code(), Some(0));
    server.store.expect_files(&[&file]);
    server.store.expect_listing(&[&file]);
}

#[tokio::test]
async fn another_host_is_refused() {
    let server = Server::start(&[]);
    let mut connection = Http2::open(&server).await;
    for authority in ["evil.example", "localhost.evil.example:80"] {
        connection.authority = authority.to_owned();
        let (response, _) = connection.begin("GET", "/files/x", &[], true).await;
        expect_problem(in_time(response).await.expect("a response"), 421, "/problems/misdirected").await;
    }
    connection.authority = "localhost".to_owned();
    assert_eq!(connection.ask("GET", "/files/x").await.0.status, StatusCode::NOT_FOUND);
    connection.close().await;
    server.finish(&[]);
}

#[tokio::test]
async fn a_flood_of_resets_costs_its_connection_at_most() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 100_000));
    server.expect_file(&file);
    server.reset_peak();
    let before = server.peak();
    for _ in 0..20 {
        let connection = Http2::open(&server).await;
        for _ in 0..1_000 {
            let request = Request::put(format!("http://{}/files/flood", server.addr)).body(()).expect("a request");
            // The server may have had enough of it, and have ended the connection.
            let Ok(mut requests) = in_time(connection.requests.clone().ready()).await else { break };
            let Ok((_, mut body)) = requests.send_request(request, false) else { break };
            body.send_reset(Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        connection.cut().await;
    }
    server.expect_files(&[&file]);
    server.expect_file(&file);
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
    server.finish(&[&file]);
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let long = "y".repeat(100_000);
    let (response, _) = connection.begin("GET", "/files/x", &[("x-long", &long)], true).await;
    match in_time(response).await {
        Ok(response) => assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(error.is_remote() || error.is_io(), "{error:?}"),
    }
    connection.cut().await;
    // Whatever became of that connection, the next is served.
    let connection = Http2::open(&server).await;
    assert_eq!(connection.ask("GET", "/files/x").await.0.status, StatusCode::NOT_FOUND);
    connection.close().await;
    server.finish(&[]);
}

#[test]
fn frames_that_are_none_end_the_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let server = Server::start(&[]);
    for frames in [
        // Garbage; a frame larger than any; DATA before HEADERS; a window of 0; a header block that never ends.
        [0xff; 100].as_slice(),
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01a",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ] {
        let mut connection = server.connect();
        connection.send([PREFACE, frames].concat());
        connection.drain_to_end();
    }
    let file = server.put("after", &Pattern::new(1, 1_000));
    server.finish(&[&file]);
}

#[tokio::test]
async fn a_client_that_vanishes_takes_all_its_streams_with_it() {
    /// Bytes that each stream sends before its client vanishes.
    const SENT: u64 = 600_000;
    let server = Server::start(&[]);
    let connection = Http2::open(&server).await;
    let content = Pattern::new(1, 1 << 20);
    let mut open = Vec::new();
    for _ in 0..20 {
        let (response, mut body) = connection.begin("PUT", "/files/gone", &[], false).await;
        send(&mut body, &content, 0, SENT).await;
        open.push((response, body));
    }
    if Store::shows() <= SENT {
        eventually_async("staged files", async || (server.store.leftovers().len() == 20).then_some(())).await;
    }
    connection.cut().await;
    server.finish(&[]);
}
