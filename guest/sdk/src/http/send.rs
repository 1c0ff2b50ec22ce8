//! The only place that sends responses.
//!
//! Invariants: the host gets the response before the first byte of its body, so only the client's pace limits a long
//! body. An incomplete body is dropped without `finish`: the host then aborts the response, and no client takes a
//! prefix for the whole.

use super::{
    request::Request,
    response::{Body, Maker, Response},
};
use crate::{
    InputStream, OutputStream, Sink, StreamError,
    bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
    limits::WRITE_MAX,
};
use std::io;

/// Sends the response to a request; without its body to a HEAD request.
///
/// # Panics
/// If a field or the status has a value that HTTP does not allow.
pub fn send(request: &Request, mut response: Response, out: ResponseOutparam) {
    // The content of a stream may come from the body.
    if !matches!(response.body, Body::Stream { .. } | Body::Made { .. }) {
        request.release();
    }
    let head = request.method() == "HEAD";
    let fields = Fields::from_list(response.fields()).expect("fields of known names and visible ASCII");
    let outgoing = OutgoingResponse::new(fields);
    outgoing.set_status_code(response.status).expect("a status of three digits");
    match response.body {
        _ if head => ResponseOutparam::set(out, Ok(outgoing)),
        Body::None | Body::Withheld { .. } => ResponseOutparam::set(out, Ok(outgoing)),
        Body::Bytes(bytes) => fill(outgoing, out, |stream| write(&stream, &bytes)),
        Body::Stream { content, size } => fill(outgoing, out, |stream| splice(&stream, &content, size)),
        Body::Made { write: Maker(write), .. } => fill(outgoing, out, |stream| match write(&mut Sink::new(stream)) {
            Ok(()) => true,
            Err(error) => {
                ends_early(&error);
                false
            }
        }),
    }
}

/// Begins the response, and finishes its body if `content` returns that all bytes were written.
fn fill(response: OutgoingResponse, out: ResponseOutparam, content: impl FnOnce(OutputStream) -> bool) {
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    if content(stream) {
        // This fails if the client has gone or the size is wrong; the host aborts the response in both cases.
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(WRITE_MAX).all(|chunk| stream.blocking_write_and_flush(chunk).is_ok())
}

/// Moves `size` bytes. Returns false if the source fails or ends early, or if the client goes away.
fn splice(stream: &OutputStream, source: &InputStream, size: u64) -> bool {
    let mut left = size;
    while left > 0 {
        match stream.blocking_splice(source, left) {
            Ok(moved) => left -= moved,
            Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => return false,
        }
    }
    true
}

/// Logs why a response is cut off.
#[expect(clippy::print_stderr, reason = "the host logs it under the id of the request")]
fn ends_early(error: &io::Error) {
    eprintln!("the response ends early: {error}");
}
