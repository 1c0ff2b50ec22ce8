//! Responses, and the only place that sends them.
//!
//! Invariants: the host gets the response before the first byte of its body, so only the client's pace limits a long
//! body. An incomplete body is dropped without `finish`: the host then aborts the response, and no client takes a
//! prefix for the whole.

use crate::limits::WRITE_MAX;
use portico_guest::{
    InputStream, Sink,
    bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
    bindings::wasi::io::streams::{OutputStream, StreamError},
};
use serde::Serialize;
use std::{fmt, io};

/// The body of a response.
#[derive(Debug)]
enum Body {
    None,
    Bytes(Vec<u8>),
    Stream {
        content: InputStream,
        size: u64,
    },
    /// Content that this guest makes.
    Made {
        write: Maker,
        size: u64,
    },
    /// Only the size, for HEAD.
    Withheld {
        size: u64,
    },
}

/// Writes a body.
type Write = dyn FnOnce(&mut Sink<'_>) -> io::Result<()>;

/// The function that writes a body.
struct Maker(Box<Write>);

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
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

    /// Sets a body of `size` bytes that `write` makes while the client reads. The host cuts the response off if `write`
    /// fails.
    pub(crate) fn made(self, size: u64, write: impl FnOnce(&mut Sink<'_>) -> io::Result<()> + 'static) -> Self {
        Response { body: Body::Made { write: Maker(Box::new(write)), size }, ..self }
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
            Body::Stream { size, .. } | Body::Made { size, .. } | Body::Withheld { size } => Some(*size),
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
            Body::Bytes(bytes) => fill(response, out, |stream| write(&stream, &bytes)),
            Body::Stream { content, size } => fill(response, out, |stream| splice(&stream, &content, size)),
            Body::Made { write: Maker(write), .. } => {
                fill(response, out, |stream| match write(&mut Sink::new(stream)) {
                    Ok(()) => true,
                    Err(error) => {
                        ends_early(&error);
                        false
                    }
                })
            }
        }
    }
}

/// Says why a response is cut off.
#[expect(clippy::print_stderr, reason = "the host logs it under the id of the request")]
fn ends_early(error: &io::Error) {
    eprintln!("the response ends early: {error}");
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
