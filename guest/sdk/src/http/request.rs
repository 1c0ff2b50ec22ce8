//! Requests, as the handlers see them.

use super::{
    body::{Body, is_stalled},
    conditions::{Conditions, Verdict},
    digests::{self, BadDigest},
    media_type,
    problem::{Kind, Problem},
};
use crate::{Digest, DigestAlgorithm, Expected, FinalOptions, InputStream, StreamError, exchange::BASE_URL_HEADER};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::{borrow::Cow, cell::OnceCell, fmt};

/// The detail of a problem about a malformed digest field.
const MALFORMED_DIGEST: &str = "sha-256 must be 32 bytes as :base64: (RFC 9530)";

/// A request. Its body stays unread until [`Request::body`] hands it to the host.
///
/// In native tests [`memory`](crate::memory) makes requests.
pub struct Request {
    method: Cow<'static, str>,
    overridden: OnceCell<&'static str>,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Body,
}

#[cfg(target_family = "wasm")]
impl From<crate::bindings::wasi::http::types::IncomingRequest> for Request {
    fn from(request: crate::bindings::wasi::http::types::IncomingRequest) -> Self {
        use crate::bindings::wasi::http::types::Method;
        let method = match request.method() {
            Method::Get => "GET".into(),
            Method::Head => "HEAD".into(),
            Method::Post => "POST".into(),
            Method::Put => "PUT".into(),
            Method::Delete => "DELETE".into(),
            Method::Connect => "CONNECT".into(),
            Method::Options => "OPTIONS".into(),
            Method::Trace => "TRACE".into(),
            Method::Patch => "PATCH".into(),
            Method::Other(name) => name.into(),
        };
        let target = request.path_with_query().unwrap_or_default();
        // One call of the host, in place of one for each field that a handler asks for.
        Request {
            method,
            overridden: OnceCell::new(),
            target,
            fields: request.headers().entries(),
            body: Body::new(request),
        }
    }
}

impl Request {
    /// Creates a request of a test.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn of_test(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned().into(), target.to_owned());
        Request { method, overridden: OnceCell::new(), target, fields: Vec::new(), body: Body::default() }
    }

    /// Adds a header field of a test.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        self.fields.push((name.to_owned(), value.to_vec()));
    }

    /// Returns the body of a test.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Takes another method than that of the request line, for protocols that name it in a field. The first call counts.
    pub fn override_method(&self, method: &'static str) {
        self.overridden.get_or_init(|| method);
    }

    /// Returns a reference to a path below the root of the portal, relative to this request's own path, so that it
    /// leads to the right place behind any prefix that a proxy removes.
    #[must_use]
    pub fn relative(&self, path: &str) -> String {
        let depth = self.path().bytes().skip(1).filter(|byte| *byte == b'/').count();
        "../".repeat(depth) + path
    }

    /// Returns an absolute URL of a path below the root of the portal, if the host knows the portal's public URL;
    /// otherwise as [`Request::relative`].
    #[must_use]
    pub fn absolute(&self, path: &str) -> String {
        match self.field(BASE_URL_HEADER) {
            Some(base) => format!("{}/{path}", base.trim_end_matches('/')),
            None => self.relative(path),
        }
    }

    /// Returns the name of the method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.overridden.get().copied().unwrap_or(&self.method)
    }

    /// Returns the host's id of the request, as in its log and the response.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.field("x-request-id")
    }

    /// Returns the path, undecoded, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _query)| path)
    }

    /// Returns the decoded value of the first query parameter of that name.
    ///
    /// # Errors
    /// If the value is not UTF-8.
    pub fn parameter(&self, name: &'static str) -> Result<Option<String>, Problem> {
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
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let lines: Vec<&[u8]> = lines.map(|(_, value)| value.as_slice()).collect();
        (!lines.is_empty()).then(|| String::from_utf8_lossy(&lines.join(b", ".as_slice())).into_owned())
    }

    /// Returns the announced length of the body in bytes; `None` for a body of unknown length.
    ///
    /// # Errors
    /// If the length is no number. The server rejects such requests earlier.
    pub fn content_length(&self) -> Result<Option<u64>, Problem> {
        let number =
            |text: String| text.parse().map_err(|_| Problem::invalid("content-length", "not a number of bytes"));
        self.field("content-length").map(number).transpose()
    }

    /// Returns the conditional fields.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
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
    pub fn announced_digest(&self) -> Result<Option<Digest>, Problem> {
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
    pub fn repr_digest(&self) -> Result<Option<Digest>, Problem> {
        let field = self.field("repr-digest");
        digests::announced([field.as_deref()]).map_err(|_| Problem::invalid("repr-digest", MALFORMED_DIGEST))
    }

    /// Adds the digests of this request's content that the client announces in `Content-Digest` (RFC 9530).
    ///
    /// # Errors
    /// If the field is malformed.
    pub fn content_digest(&self, expected: &mut Expected) -> Result<(), Problem> {
        let Some(field) = self.field("content-digest") else { return Ok(()) };
        let malformed = |_| Problem::invalid("content-digest", MALFORMED_DIGEST);
        expected.sha256 = digests::announced([Some(&*field)]).map_err(malformed)?;
        if let Some(digest) = digests::sha_512(&field).map_err(malformed)? {
            expected.others.push((DigestAlgorithm::Sha512, digest));
        }
        Ok(())
    }

    /// Returns whether the client wants the SHA-256 of its content.
    #[must_use]
    pub fn wants_digest(&self) -> bool {
        let fields = ["want-content-digest", "want-repr-digest"];
        fields.iter().filter_map(|name| self.field(name)).any(|field| digests::is_wanted(&field))
    }

    /// Refuses partial content (RFC 9110, 14.5) and content codings, because a GET would return the bytes as whole and
    /// plain.
    ///
    /// # Errors
    /// If the body is partial or coded.
    pub fn must_be_whole_and_plain(&self) -> Result<(), Problem> {
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

    /// Returns the options of a file that the body becomes: its media type, its size, and the SHA-256 that the client
    /// announces. Refuses what can't be such a file.
    ///
    /// # Errors
    /// If a field is malformed, the body is partial or coded, or a condition does not hold for a new file.
    pub fn final_options(&self) -> Result<FinalOptions, Problem> {
        let field = self.field("content-type");
        let announced = media_type::announced(field.as_deref());
        let announced = announced.ok_or_else(|| Problem::invalid("content-type", media_type::EXPECTED))?;
        let mut options = FinalOptions::new().content_type(announced);
        options.expected.sha256 = self.announced_digest()?;
        options.expected.size = self.content_length()?;
        self.must_make_a_new_file()?;
        Ok(options)
    }

    /// Refuses partial and coded content, and conditions. A new file matches no condition on an existing one.
    ///
    /// # Errors
    /// If the body is partial or coded, or a condition does not hold.
    pub fn must_make_a_new_file(&self) -> Result<(), Problem> {
        self.must_be_whole_and_plain()?;
        match self.conditions().verdict(None, false) {
            Verdict::Failed => Err(Kind::PRECONDITION_FAILED.into()),
            Verdict::Proceed | Verdict::NotModified => Ok(()),
        }
    }

    /// Reads the body as a JSON object of at most `most` bytes. Call this once, and not together with [`Request::body`].
    ///
    /// # Errors
    /// If the body is no JSON object, is too large, or is incomplete.
    pub fn json(&self, most: u64) -> Result<Map<String, Value>, Problem> {
        self.must_be_whole_and_plain()?;
        if !self.field("content-type").is_some_and(|field| media_type::is(&field, "application/json")) {
            return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail("application/json expected"));
        }
        match serde_json::from_slice(&self.read(most)?) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(Problem::invalid("body", "a JSON object expected")),
            Err(error) => Err(Problem::invalid("body", format!("not JSON: {error}"))),
        }
    }

    /// Reads the body as a whole. Call this once, and not together with [`Request::body`].
    ///
    /// # Errors
    /// If the body has more than `most` bytes, or is incomplete.
    pub fn read(&self, most: u64) -> Result<Vec<u8>, Problem> {
        let content = read(&self.body(), most);
        self.release();
        content
    }

    /// Takes the body, for the host to pull. Call this once.
    ///
    /// # Panics
    /// If the body was taken before.
    #[must_use]
    pub fn body(&self) -> InputStream {
        self.body.stream()
    }

    /// Returns a field of the trailers. [`Request::body`] must have been read to its end.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<String> {
        self.body.trailer(name)
    }

    /// Reads the body until its end or its first byte; returns whether it has no content. Call this once, and not together
    /// with [`Request::body`].
    #[must_use]
    pub fn has_no_content(&self) -> bool {
        let stream = self.body();
        let is_empty = loop {
            match stream.blocking_read(1) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(_) => break false,
                Err(_) => break true,
            }
        };
        drop(stream);
        self.release();
        is_empty
    }

    /// Drops the body, whose stream must have been dropped.
    pub(crate) fn release(&self) {
        self.body.release();
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method()).field("target", &self.target).finish_non_exhaustive()
    }
}

fn read(stream: &InputStream, most: u64) -> Result<Vec<u8>, Problem> {
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
