//! Responses of the hostile portal.

use portico_guest::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use portico_guest::bindings::wasi::io::streams::OutputStream;

/// Begins a response of an announced length with four bytes of body.
pub(crate) fn begin(out: ResponseOutparam, length: u64) -> (OutgoingBody, OutputStream) {
    let (body, stream) = begin_with(out, length);
    let _ = stream.blocking_write_and_flush(b"four");
    (body, stream)
}

/// Begins a response of an announced length.
pub(crate) fn begin_with(out: ResponseOutparam, length: u64) -> (OutgoingBody, OutputStream) {
    let fields = Fields::new();
    fields.set("content-length", &[length.to_string().into_bytes()]).expect("a field");
    let response = OutgoingResponse::new(fields);
    let body = response.body().expect("a body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("a stream");
    (body, stream)
}

/// Ends a body as whole.
pub(crate) fn finish((body, stream): (OutgoingBody, OutputStream)) {
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// Responds with a text.
pub(crate) fn answer(out: ResponseOutparam, text: &str) {
    answer_with(out, &[], text);
}

/// Responds with a text and more fields.
pub(crate) fn answer_with(out: ResponseOutparam, more: &[(&str, &str)], text: &str) {
    let fields = Fields::new();
    for (name, value) in more {
        fields.set(name, &[value.as_bytes().to_vec()]).expect("a field");
    }
    fields.set("content-length", &[text.len().to_string().into_bytes()]).expect("a field");
    let response = OutgoingResponse::new(fields);
    let body = response.body().expect("a body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("a stream");
    for piece in text.as_bytes().chunks(4096) {
        let _ = stream.blocking_write_and_flush(piece);
    }
    finish((body, stream));
}
