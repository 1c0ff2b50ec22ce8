//! Interim responses as the path of a request asks for, good and bad. The response says what the host returned for each.

use crate::respond::{answer, begin_with, finish};
use portico_guest::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use portico_guest::bindings::wasi::io::streams::StreamError;
use portico_guest::exchange::send_interim;

/// Serves a path below `/interim/`.
pub(crate) fn serve(path: &str, request: &IncomingRequest, out: ResponseOutparam) {
    match path {
        "bad" => answer(out, &bad()),
        "after" => after(out),
        times => {
            let times = times.parse().expect("a number");
            let sent: Vec<String> = (0..times).map(|offset| send(offset).to_string()).collect();
            let received = read(request);
            answer(out, &format!("{} {received}", sent.join(" ")));
        }
    }
}

fn send(offset: u32) -> bool {
    let offset = offset.to_string();
    send_interim(104, &[("Location", "/interim/upload"), ("Upload-Offset", &offset)])
}

/// Reads the body of a request to its end, and returns its size.
fn read(request: &IncomingRequest) -> usize {
    let body = request.consume().expect("a body");
    let stream = body.stream().expect("a stream");
    let mut size = 0;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(bytes) => size += bytes.len(),
            Err(StreamError::Closed) => return size,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Tries what the host must refuse.
fn bad() -> String {
    let long = "x".repeat(5_000);
    let many = vec![("a", ""); 5_000];
    let mut results = Vec::new();
    for status in [0, 100, 101, 102, 103, 105, 199, 200, 204, 500, u16::MAX] {
        results.push(send_interim(status, &[]));
    }
    for field in [
        ("", "a"),
        ("a b", "a"),
        ("a\r\nb", "a"),
        ("a", "b\r\n\r\nHTTP/1.1 200 OK"),
        ("a", "b\nc: d"),
        ("a", "b\0"),
        ("content-length", "10"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "close"),
        ("long", &*long),
        (&*long, "long"),
    ] {
        results.push(send_interim(104, &[("fine", "fine"), field]));
    }
    results.push(send_interim(104, &many));
    format!("{} of {} sent", results.iter().filter(|sent| **sent).count(), results.len())
}

/// Sends one when the response has begun.
fn after(out: ResponseOutparam) {
    let (body, stream) = begin_with(out, b"true".len() as u64 + 1);
    let sent = send(0);
    let _ = stream.blocking_write_and_flush(format!("{sent:<5}").as_bytes());
    finish((body, stream));
}
