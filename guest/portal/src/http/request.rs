//! A request, as the handlers see it.

use crate::{
    http::problem::{Kind, Problem},
    limits::JSON_MAX,
    policy::{
        conditions::Conditions,
        digests::{self, BadDigest},
    },
};
use percent_encoding::percent_decode_str;
use portico_guest::{
    Digest, InputStream,
    bindings::wasi::{
        http::types::{ErrorCode, Fields, IncomingBody, IncomingRequest, Method, http_error_code},
        io::streams::StreamError,
    },
};
use serde_json::{Map, Value};
use std::borrow::Cow;

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

    /// Under which the host speaks of it in its log and its answer.
    pub(crate) fn id(&self) -> Option<String> {
        self.field("x-request-id")
    }

    /// The path, undecoded, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _query)| path)
    }

    /// The value of a parameter of the query, decoded: the first of that name.
    ///
    /// # Errors
    /// One that is not UTF-8.
    pub(crate) fn parameter(&self, name: &'static str) -> Result<Option<String>, Problem> {
        let query = self.target.split_once('?').map_or("", |(_path, query)| query);
        let found = query.split('&').find_map(|pair| match pair.split_once('=').unwrap_or((pair, "")) {
            (key, value) if key == name => Some(value),
            _ => None,
        });
        let decode = |value: &str| percent_decode_str(value).decode_utf8().map(Cow::into_owned);
        found.map(decode).transpose().map_err(|_| Problem::invalid(name, "not UTF-8"))
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

    /// The SHA-256 that the client announces of its content (RFC 9530).
    ///
    /// # Errors
    /// Fields that cannot be followed.
    pub(crate) fn announced_digest(&self) -> Result<Option<Digest>, Problem> {
        let fields = ["content-digest", "repr-digest"].map(|name| self.field(name));
        digests::announced(fields.iter().map(Option::as_deref)).map_err(|bad| match bad {
            BadDigest::Malformed => {
                Problem::invalid("content-digest", "sha-256 must be 32 bytes as :base64: (RFC 9530)")
            }
            BadDigest::Contradiction => Problem::invalid("repr-digest", "another sha-256 than that of content-digest"),
        })
    }

    /// Whether the client asks for the SHA-256 of its content.
    pub(crate) fn wants_digest(&self) -> bool {
        let fields = ["want-content-digest", "want-repr-digest"];
        fields.iter().filter_map(|name| self.field(name)).any(|field| digests::is_wanted(&field))
    }

    /// Refuses a body that is a part of something (RFC 9110, 14.5), or coded: it would be given back as what it is not.
    ///
    /// # Errors
    /// If it is one.
    pub(crate) fn must_be_whole_and_plain(&self) -> Result<(), Problem> {
        if self.field("content-range").is_some() {
            return Err(Problem::invalid("content-range", "what is put here is put whole"));
        }
        match self.field("content-encoding") {
            Some(coding) if !coding.eq_ignore_ascii_case("identity") => {
                Err(Problem::from(Kind::UnsupportedCoding).header("accept-encoding", "identity".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The body as a JSON object. To be called once, and not beside [`Request::body`].
    ///
    /// # Errors
    /// A body that is none, is too large, or does not arrive whole.
    pub(crate) fn json(&self) -> Result<Map<String, Value>, Problem> {
        self.must_be_whole_and_plain()?;
        let is_json = |text: &str| {
            let essence = text.split_once(';').map_or(text, |(essence, _)| essence).trim();
            essence.eq_ignore_ascii_case("application/json")
        };
        if !self.field("content-type").is_some_and(|text| is_json(&text)) {
            return Err(Problem::from(Kind::UnsupportedMediaType).detail("application/json is expected"));
        }
        let body = self.body();
        let stream = body.stream();
        let mut text = Vec::new();
        loop {
            match stream.blocking_read(JSON_MAX) {
                Ok(bytes) => text.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    let stalled = matches!(http_error_code(&error), Some(ErrorCode::ConnectionReadTimeout));
                    return Err(if stalled { Kind::Stalled } else { Kind::Interrupted }.into());
                }
            }
            if text.len() as u64 > JSON_MAX {
                return Err(Problem::from(Kind::TooLarge).limit(JSON_MAX));
            }
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(Problem::invalid("body", "a JSON object is expected")),
            Err(error) => Err(Problem::invalid("body", format!("not JSON: {error}"))),
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
