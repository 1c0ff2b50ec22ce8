//! A request, as the handlers see it.

use crate::{http::problem::Problem, policy::conditions::Conditions};
use portico_guest::{
    InputStream,
    bindings::wasi::http::types::{Fields, IncomingBody, IncomingRequest, Method},
};

/// A request. Its body is read by nobody until [`Request::body`] hands it to the host.
pub(crate) struct Request {
    method: Method,
    target: String,
    fields: Fields,
    request: IncomingRequest,
}

/// The body of a request. The stream, taken by [`Body::stream`], is a child of it and goes first.
pub(crate) struct Body(IncomingBody);

impl Request {
    pub(crate) fn new(request: IncomingRequest) -> Self {
        let (method, target) = (request.method(), request.path_with_query().unwrap_or_default());
        Request { method, target, fields: request.headers(), request }
    }

    /// The method's name.
    pub(crate) fn method(&self) -> &str {
        match &self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
            Method::Other(name) => name,
        }
    }

    /// The path, undecoded, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _query)| path)
    }

    /// A field's value, its lines joined by commas (RFC 9110, 5.3). Bytes that are not UTF-8 are replaced, so that
    /// no check of a form lets them pass.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.get(name);
        (!lines.is_empty()).then(|| String::from_utf8_lossy(&lines.join(b", ".as_slice())).into_owned())
    }

    /// The announced length of the body in bytes; absent for a body of unknown length.
    ///
    /// # Errors
    /// A length that is no number. The server lets none through.
    pub(crate) fn content_length(&self) -> Result<Option<u64>, Problem> {
        let number =
            |text: String| text.parse().map_err(|_| Problem::invalid("content-length", "not a number of bytes"));
        self.field("content-length").map(number).transpose()
    }

    /// The conditions that the client sets.
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions {
            if_match: self.field("if-match"),
            if_none_match: self.field("if-none-match"),
            if_modified_since: self.field("if-modified-since"),
            if_unmodified_since: self.field("if-unmodified-since"),
        }
    }

    /// The body. To be called once.
    pub(crate) fn body(&self) -> Body {
        Body(self.request.consume().expect("the body is taken once"))
    }
}

impl Body {
    /// The content, for the host to pull. To be called once.
    pub(crate) fn stream(&self) -> InputStream {
        self.0.stream().expect("the stream is taken once")
    }
}
