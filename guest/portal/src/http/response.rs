//! Responses, and the only place that sends them.
//!
//! Invariants: the host gets the response before the first byte of its body, so only the client's pace limits a long
//! body. An incomplete body is dropped without `finish`: the host then aborts the response, and no client takes a
//! prefix for the whole.

use crate::limits::WRITE_MAX;
use portico_guest::{
    InputStream,
    bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
    bindings::wasi::io::streams::{OutputStream, StreamError},
};
use serde::Serialize;

/// The body of a response.
#[derive(Debug)]
enum Body {
    None,
    Bytes(Vec<u8>),
    Stream {
        content: InputStream,
        size: u64,
    },
    /// Only the size, for HEAD.
    Withheld {
        size: u64,
    },
}

/// A response that has not been sent.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Response {
    /// Creates a response without a body.
    pub(crate) fn new(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Body::None }
    }

    /// Adds a header field. The value is visible ASCII and spaces.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into().into_bytes()));
        self
    }

    /// Sets a JSON document as the body.
    pub(crate) fn json(self, media_type: &str, document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("a document of texts and numbers");
        Response { body: Body::Bytes(bytes), ..self }.header("content-type", media_type)
    }

    /// Sets a text as the body.
    pub(crate) fn text(self, media_type: &str, document: impl Into<Vec<u8>>) -> Self {
        Response { body: Body::Bytes(document.into()), ..self }.header("content-type", media_type)
    }

    /// Sets constant bytes as the body.
    pub(crate) fn bytes(self, media_type: &str, bytes: &'static [u8]) -> Self {
        Response { body: Body::Bytes(bytes.into()), ..self }.header("content-type", media_type)
    }

    /// Sets stored content as the body. The host moves the bytes to the client; none enters this guest.
    pub(crate) fn stream(self, content: InputStream, size: u64) -> Self {
        Response { body: Body::Stream { content, size }, ..self }
    }

    /// Sets the size of the content that a GET would return.
    pub(crate) fn withheld(self, size: u64) -> Self {
        Response { body: Body::Withheld { size }, ..self }
    }

    /// Sends the response; without its body if `head` is set.
    pub(crate) fn send(mut self, head: bool, out: ResponseOutparam) {
        let size = match &self.body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream { size, .. } | Body::Withheld { size } => Some(*size),
        };
        if let Some(size) = size {
            self.headers.push(("content-length".to_owned(), size.to_string().into_bytes()));
        }
        let fields = Fields::from_list(&self.headers).expect("fields of known names and visible ASCII");
        let response = OutgoingResponse::new(fields);
        response.set_status_code(self.status).expect("a status of three digits");

        match self.body {
            _ if head => ResponseOutparam::set(out, Ok(response)),
            Body::None | Body::Withheld { .. } => ResponseOutparam::set(out, Ok(response)),
            Body::Bytes(bytes) => fill(response, out, |sink| write(sink, &bytes)),
            Body::Stream { content, size } => fill(response, out, |sink| splice(sink, &content, size)),
        }
    }
}

/// Begins the response, and finishes its body if `content` returns that all bytes were written.
fn fill(response: OutgoingResponse, out: ResponseOutparam, content: impl FnOnce(&OutputStream) -> bool) {
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let sink = body.write().expect("the stream is taken once");
    let whole = content(&sink);
    drop(sink);
    if whole {
        // This fails if the client has gone or the size is wrong; the host aborts the response in both cases.
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(sink: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(WRITE_MAX).all(|chunk| sink.blocking_write_and_flush(chunk).is_ok())
}

/// Moves `size` bytes. Returns false if the source fails or ends early, or if the client goes away.
fn splice(sink: &OutputStream, source: &InputStream, size: u64) -> bool {
    let mut left = size;
    while left > 0 {
        match sink.blocking_splice(source, left) {
            Ok(moved) => left -= moved,
            Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => return false,
        }
    }
    true
}
