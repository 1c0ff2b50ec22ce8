//! Requests and responses of native tests.

use super::streams::{InputStream, OutputStream, lock};
use crate::{
    ReadStream, Sink,
    http::{Body, Maker, Request, Response},
};
use std::{
    io::Read,
    sync::{Arc, Mutex},
};

/// Requests of native tests. A component gets its requests from the host.
impl Request {
    /// Creates a request without fields and body. `target` is a path, with a query if there is one.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Request::of_test(method, target)
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value.as_ref());
        self
    }

    /// Sets a body of known length, and `Content-Length`.
    #[must_use]
    pub fn with_body(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len().to_string();
        self.with_field("content-length", length).with_stream(bytes.into())
    }

    /// Sets a body of unknown length.
    #[must_use]
    pub fn with_stream(mut self, content: InputStream) -> Self {
        self.body_mut().content.set(Some(content));
        self
    }

    /// Adds a field of the trailers.
    #[must_use]
    pub fn with_trailer(mut self, name: &str, value: &str) -> Self {
        self.body_mut().trailers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The response that a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields, in the order of the response.
    pub fields: Vec<(String, String)>,
    /// The body, as far as it arrived.
    pub body: Vec<u8>,
    /// Whether the body arrived as a whole. A client takes any other response for broken.
    pub is_whole: bool,
}

impl Reply {
    /// Returns the value of a header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body as a text.
    ///
    /// # Panics
    /// If the body is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }
}

/// Sends a response to a test; without its body if `head` is set.
pub(super) fn reply(mut response: Response, head: bool) -> Reply {
    assert!((100..=999).contains(&response.status), "{} is no status", response.status);
    let text = |(name, value): &(String, Vec<u8>)| {
        let is_value = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
        assert!(
            is_value,
            "the field {name} has a value that HTTP does not allow: {:?}",
            String::from_utf8_lossy(value)
        );
        assert!(name.bytes().all(crate::http::media_type::is_token_byte), "{name:?} is no name of a field");
        (name.clone(), String::from_utf8_lossy(value).into_owned())
    };
    let fields = response.fields().iter().map(text).collect();
    let status = response.status;
    let (body, is_whole) = match response.body {
        _ if head => (Vec::new(), true),
        Body::None | Body::Withheld { .. } => (Vec::new(), true),
        Body::Bytes(bytes) => (bytes, true),
        Body::Stream { content, size } => {
            let mut body = Vec::new();
            let read = ReadStream::new(content).take(size).read_to_end(&mut body);
            let is_whole = read.is_ok() && body.len() as u64 == size;
            (body, is_whole)
        }
        Body::Made { write: Maker(write), size } => {
            let buffer = Arc::new(Mutex::new(Vec::new()));
            let written = write(&mut Sink::new(OutputStream::of_buffer(buffer.clone())));
            let body = std::mem::take(&mut *lock(&buffer));
            let is_whole = written.is_ok() && body.len() as u64 == size;
            (body, is_whole)
        }
    };
    Reply { status, fields, body, is_whole }
}
