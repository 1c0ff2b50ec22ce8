//! Requests, as the handlers see them.

use crate::{
    http::problem::{Kind, Problem},
    limits::JSON_MAX,
};
use percent_encoding::percent_decode_str;
use portico_guest::{
    Digest, DigestAlgorithm, Expected, InputStream,
    bindings::wasi::{
        http::types::{ErrorCode, IncomingBody, IncomingRequest, Method, http_error_code},
        io::{error::Error as WasiError, streams::StreamError},
    },
    exchange::BASE_URL_HEADER,
    http::{
        conditions::Conditions,
        digests::{self, BadDigest},
        media_type,
    },
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The detail of a problem about a malformed digest field.
const MALFORMED_DIGEST: &str = "sha-256 must be 32 bytes as :base64: (RFC 9530)";

/// A request. Its body stays unread until [`Request::body`] hands it to the host.
pub(crate) struct Request {
    method: Method,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    request: IncomingRequest,
}

/// The body of a request. The stream of [`Body::stream`] is its child: drop the stream first.
pub(crate) struct Body(IncomingBody);

impl Request {
    pub(crate) fn new(request: IncomingRequest) -> Self {
        let (method, target) = (request.method(), request.path_with_query().unwrap_or_default());
        // One call of the host, in place of one for each field that a handler asks for.
        Request { method, target, fields: request.headers().entries(), request }
    }

    /// Takes the method from `X-HTTP-Method-Override` (tus 1.0), for clients that can't send every method.
    pub(crate) fn override_method(&mut self) {
        self.method = match self.field("x-http-method-override").as_deref() {
            Some("PATCH") => Method::Patch,
            Some("DELETE") => Method::Delete,
            Some("HEAD") => Method::Head,
            _ => return,
        };
    }

    /// Returns the first segment of the path.
    pub(crate) fn root(&self) -> &str {
        self.path().split('/').nth(1).unwrap_or_default()
    }

    /// Returns the path of an upload below the root of the portal, at the URL that this request went to.
    pub(crate) fn upload_path(&self, id: &str) -> String {
        format!("{}/{id}", self.root())
    }

    /// Returns a reference to a path below the root of the portal, relative to this request's own path, so that it
    /// leads to the right place behind any prefix that a proxy removes.
    pub(crate) fn relative(&self, path: &str) -> String {
        let depth = self.path().bytes().skip(1).filter(|byte| *byte == b'/').count();
        "../".repeat(depth) + path
    }

    /// Returns a reference to a file, as [`Request::relative`] does.
    pub(crate) fn file(&self, id: &str) -> String {
        self.relative(&format!("files/{id}"))
    }

    /// Returns an absolute URL of a path below the root of the portal, if the host knows the portal's public URL;
    /// otherwise as [`Request::relative`].
    pub(crate) fn absolute(&self, path: &str) -> String {
        match self.field(BASE_URL_HEADER) {
            Some(base) => format!("{}/{path}", base.trim_end_matches('/')),
            None => self.relative(path),
        }
    }

    /// Returns the name of the method.
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

    /// Returns the host's id of the request, as in its log and the response.
    pub(crate) fn id(&self) -> Option<String> {
        self.field("x-request-id")
    }

    /// Returns the path, undecoded, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _query)| path)
    }

    /// Returns the decoded value of the first query parameter of that name.
    ///
    /// # Errors
    /// If the value is not UTF-8.
    pub(crate) fn parameter(&self, name: &'static str) -> Result<Option<String>, Problem> {
        let query = self.target.split_once('?').map_or("", |(_path, query)| query);
        let found = query.split('&').find_map(|pair| match pair.split_once('=').unwrap_or((pair, "")) {
            (key, value) if key == name => Some(value),
            _ => None,
        });
        let decode = |value: &str| percent_decode_str(value).decode_utf8().map(Cow::into_owned);
        found.map(decode).transpose().map_err(|_| Problem::invalid(name, "not UTF-8"))
    }

    /// Returns a header field's value, its lines joined by commas (RFC 9110, 5.3). Bytes that are not UTF-8 are
    /// replaced, so that every check of a format rejects them.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let lines: Vec<&[u8]> = lines.map(|(_, value)| value.as_slice()).collect();
        (!lines.is_empty()).then(|| String::from_utf8_lossy(&lines.join(b", ".as_slice())).into_owned())
    }

    /// Returns the announced length of the body in bytes; `None` for a body of unknown length.
    ///
    /// # Errors
    /// If the length is no number. The server rejects such requests earlier.
    pub(crate) fn content_length(&self) -> Result<Option<u64>, Problem> {
        let number =
            |text: String| text.parse().map_err(|_| Problem::invalid("content-length", "not a number of bytes"));
        self.field("content-length").map(number).transpose()
    }

    /// Returns the conditional fields.
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions {
            if_match: self.field("if-match"),
            if_none_match: self.field("if-none-match"),
            if_modified_since: self.field("if-modified-since"),
            if_unmodified_since: self.field("if-unmodified-since"),
        }
    }

    /// Returns the SHA-256 that the client announces for its content (RFC 9530).
    ///
    /// # Errors
    /// If the fields are malformed or contradict each other.
    pub(crate) fn announced_digest(&self) -> Result<Option<Digest>, Problem> {
        let fields = ["content-digest", "repr-digest"].map(|name| self.field(name));
        digests::announced(fields.iter().map(Option::as_deref)).map_err(|bad| match bad {
            BadDigest::Malformed => Problem::invalid("content-digest", MALFORMED_DIGEST),
            BadDigest::Contradiction => {
                Problem::invalid("repr-digest", "its sha-256 differs from that of content-digest")
            }
        })
    }

    /// Returns the SHA-256 of the whole file that the client announces in `Repr-Digest` (RFC 9530).
    ///
    /// # Errors
    /// If the field is malformed.
    pub(crate) fn repr_digest(&self) -> Result<Option<Digest>, Problem> {
        let field = self.field("repr-digest");
        digests::announced([field.as_deref()]).map_err(|_| Problem::invalid("repr-digest", MALFORMED_DIGEST))
    }

    /// Adds the digests of this request's content that the client announces in `Content-Digest` (RFC 9530).
    ///
    /// # Errors
    /// If the field is malformed.
    pub(crate) fn content_digest(&self, expected: &mut Expected) -> Result<(), Problem> {
        let Some(field) = self.field("content-digest") else { return Ok(()) };
        let malformed = |_| Problem::invalid("content-digest", MALFORMED_DIGEST);
        expected.sha256 = digests::announced([Some(&*field)]).map_err(malformed)?;
        if let Some(digest) = digests::sha_512(&field).map_err(malformed)? {
            expected.others.push((DigestAlgorithm::Sha512, digest));
        }
        Ok(())
    }

    /// Whether the client wants the SHA-256 of its content.
    pub(crate) fn wants_digest(&self) -> bool {
        let fields = ["want-content-digest", "want-repr-digest"];
        fields.iter().filter_map(|name| self.field(name)).any(|field| digests::is_wanted(&field))
    }

    /// Refuses partial content (RFC 9110, 14.5) and content codings, because a GET would return the bytes as whole and
    /// plain.
    ///
    /// # Errors
    /// If the body is partial or coded.
    pub(crate) fn must_be_whole_and_plain(&self) -> Result<(), Problem> {
        if self.field("content-range").is_some() {
            return Err(Problem::invalid("content-range", "partial content is not supported"));
        }
        match self.field("content-encoding") {
            Some(coding) if !coding.eq_ignore_ascii_case("identity") => {
                Err(Problem::from(Kind::UNSUPPORTED_CODING).header("accept-encoding", "identity".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Reads the body as a JSON object. Call this once, and not together with [`Request::body`].
    ///
    /// # Errors
    /// If the body is no JSON object, is too large, or is incomplete.
    pub(crate) fn json(&self) -> Result<Map<String, Value>, Problem> {
        self.must_be_whole_and_plain()?;
        if !self.field("content-type").is_some_and(|field| media_type::is(&field, "application/json")) {
            return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail("application/json expected"));
        }
        match serde_json::from_slice(&self.read(JSON_MAX)?) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(Problem::invalid("body", "a JSON object expected")),
            Err(error) => Err(Problem::invalid("body", format!("not JSON: {error}"))),
        }
    }

    /// Reads the body as a whole. Call this once, and not together with [`Request::body`].
    ///
    /// # Errors
    /// If the body has more than `most` bytes, or is incomplete.
    pub(crate) fn read(&self, most: u64) -> Result<Vec<u8>, Problem> {
        let body = self.body();
        let stream = body.stream();
        let mut content = Vec::new();
        loop {
            match stream.blocking_read(most) {
                Ok(bytes) => content.extend(bytes),
                Err(StreamError::Closed) => return Ok(content),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(if is_stalled(&error) { Kind::STALLED } else { Kind::INTERRUPTED }.into());
                }
            }
            if content.len() as u64 > most {
                return Err(Problem::from(Kind::TOO_LARGE).limit(most));
            }
        }
    }

    /// Takes the body. Call this once.
    pub(crate) fn body(&self) -> Body {
        Body(self.request.consume().expect("the body is taken once"))
    }
}

/// Whether a body failed because the client stopped sending.
pub(crate) fn is_stalled(error: &WasiError) -> bool {
    matches!(http_error_code(error), Some(ErrorCode::ConnectionReadTimeout))
}

impl Body {
    /// Returns a field of the trailers. The stream must have been read to its end.
    pub(crate) fn trailer(self, name: &str) -> Option<String> {
        let trailers = IncomingBody::finish(self.0);
        trailers.subscribe().block();
        let fields = trailers.get()?.ok()?.ok()??;
        let value = fields.get(name).into_iter().next()?;
        String::from_utf8(value).ok()
    }

    /// Reads the body until its end or its first byte; returns whether it has no content.
    pub(crate) fn has_no_content(self) -> bool {
        let stream = self.stream();
        loop {
            match stream.blocking_read(1) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(_) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Takes the content, for the host to pull. Call this once.
    pub(crate) fn stream(&self) -> InputStream {
        self.0.stream().expect("the stream is taken once")
    }
}
