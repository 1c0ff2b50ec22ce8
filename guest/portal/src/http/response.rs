//! A response: how an answer is put together, and the one place where it is sent.
//!
//! The response is given to the host before the first byte of its body, so that the client's pace and nothing else
//! bounds a long body. A body that cannot be told to its end is dropped without `finish`: the host then breaks
//! the response off, and no client takes a prefix for the whole.

use crate::limits::WRITE_MAX;
use portico_guest::{
    InputStream,
    bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
    bindings::wasi::io::streams::{OutputStream, StreamError},
};
use serde::Serialize;

/// What a response carries.
#[derive(Debug)]
enum Content {
    None,
    Bytes(Vec<u8>),
    Stream {
        content: InputStream,
        size: u64,
    },
    /// To a HEAD: the size is told, and there is no content.
    Withheld {
        size: u64,
    },
}

/// A response that has not begun.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    content: Content,
}

impl Response {
    /// A response without content.
    pub(crate) fn new(status: u16) -> Self {
        Response { status, headers: Vec::new(), content: Content::None }
    }

    /// With a header field. The value is visible ASCII and spaces.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into().into_bytes()));
        self
    }

    /// With a document.
    pub(crate) fn json(self, media_type: &str, document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("a document of texts and numbers");
        Response { content: Content::Bytes(bytes), ..self }.header("content-type", media_type)
    }

    /// With a document that is written already.
    pub(crate) fn text(self, media_type: &str, document: &'static str) -> Self {
        Response { content: Content::Bytes(document.into()), ..self }.header("content-type", media_type)
    }

    /// With stored content, which the host moves to the client; no byte of it enters this guest.
    pub(crate) fn stream(self, content: InputStream, size: u64) -> Self {
        Response { content: Content::Stream { content, size }, ..self }
    }

    /// With the size of content that a GET would have.
    pub(crate) fn withheld(self, size: u64) -> Self {
        Response { content: Content::Withheld { size }, ..self }
    }

    /// Sends it; the body only if `head` is not set.
    pub(crate) fn send(mut self, head: bool, out: ResponseOutparam) {
        let size = match &self.content {
            Content::None => None,
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::Stream { size, .. } | Content::Withheld { size } => Some(*size),
        };
        if let Some(size) = size {
            self.headers.push(("content-length".to_owned(), size.to_string().into_bytes()));
        }
        let fields = Fields::from_list(&self.headers).expect("fields of known names and visible ASCII");
        let response = OutgoingResponse::new(fields);
        response.set_status_code(self.status).expect("a status of three digits");

        let content = if head { Content::None } else { self.content };
        match content {
            Content::None | Content::Withheld { .. } => ResponseOutparam::set(out, Ok(response)),
            Content::Bytes(bytes) => fill(response, out, |sink| write(sink, &bytes)),
            Content::Stream { content, size } => fill(response, out, |sink| splice(sink, &content, size)),
        }
    }
}

/// Begins the response, and ends its body if `content` says that it is whole.
fn fill(response: OutgoingResponse, out: ResponseOutparam, content: impl FnOnce(&OutputStream) -> bool) {
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let sink = body.write().expect("the stream is taken once");
    let whole = content(&sink);
    drop(sink);
    if whole {
        // It fails if the client has gone, or if the size is not the announced one; the host breaks off for both.
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(sink: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(WRITE_MAX).all(|chunk| sink.blocking_write_and_flush(chunk).is_ok())
}

/// Moves `size` bytes. A source that fails or ends early, and a client that goes away, are all the same here: the
/// rest will not come.
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
