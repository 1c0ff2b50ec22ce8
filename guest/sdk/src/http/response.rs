//! Responses, as handlers make them.

use super::{conditions, digests};
use crate::{InputStream, Sink, StoredObject};
use serde::Serialize;
use std::{fmt, io};

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Body {
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
pub(crate) type Write = dyn FnOnce(&mut Sink<'_>) -> io::Result<()>;

/// The function that writes a body.
pub(crate) struct Maker(pub(crate) Box<Write>);

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
}

/// A response that has not been sent.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Body,
}

impl Response {
    /// Creates a response without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Body::None }
    }

    /// Adds a header field. The value is visible ASCII and spaces.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into().into_bytes()));
        self
    }

    /// Sets a JSON document as the body.
    ///
    /// # Panics
    /// If the document has no JSON form, such as a map whose keys are not texts.
    #[must_use]
    pub fn json(self, media_type: &str, document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("a document of texts and numbers");
        Response { body: Body::Bytes(bytes), ..self }.header("content-type", media_type)
    }

    /// Sets a text or other bytes as the body.
    #[must_use]
    pub fn content(self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Response { body: Body::Bytes(bytes.into()), ..self }.header("content-type", media_type)
    }

    /// Sets stored content as the body. The host moves the bytes to the client; none enters this guest.
    #[must_use]
    pub fn stream(self, content: InputStream, size: u64) -> Self {
        Response { body: Body::Stream { content, size }, ..self }
    }

    /// Sets a body of `size` bytes that `write` makes while the client reads. The host cuts the response off if `write`
    /// fails.
    #[must_use]
    pub fn made(self, size: u64, write: impl FnOnce(&mut Sink<'_>) -> io::Result<()> + 'static) -> Self {
        Response { body: Body::Made { write: Maker(Box::new(write)), size }, ..self }
    }

    /// Sets the size of the content that a GET would return.
    #[must_use]
    pub fn withheld(self, size: u64) -> Self {
        Response { body: Body::Withheld { size }, ..self }
    }

    /// Adds the fields that describe a stored object: `ETag` and `Repr-Digest`.
    #[must_use]
    pub fn describe(self, object: &StoredObject) -> Self {
        self.header("etag", conditions::etag(object)).header("repr-digest", digests::field(&object.sha256))
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Adds `Content-Length`, where the response has content. Returns the fields.
    pub(crate) fn fields(&mut self) -> &[(String, Vec<u8>)] {
        let size = match &self.body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream { size, .. } | Body::Made { size, .. } | Body::Withheld { size } => Some(*size),
        };
        if let Some(size) = size {
            self.headers.push(("content-length".to_owned(), size.to_string().into_bytes()));
        }
        &self.headers
    }
}
