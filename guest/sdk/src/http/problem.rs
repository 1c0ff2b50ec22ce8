//! Problems: errors as the client sees them (RFC 9457), and the mapping from errors of the store.
//!
//! Invariant: the `type` of a problem is stable; its texts are for people.

use super::{ranges, response::Response};
use crate::{Argument, Error, limits::RETRY_AFTER};
use serde::Serialize;
use std::borrow::Cow;

/// A kind of problem: status, `type` and `title`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    status: u16,
    uri: &'static str,
    title: &'static str,
}

impl Kind {
    /// 400: an invalid field, parameter or body.
    pub const INVALID_REQUEST: Kind = Kind::new(400, "/problems/invalid-request", "Invalid request");
    /// 400: the content is shorter or longer than announced.
    pub const SIZE_MISMATCH: Kind = Kind::new(400, "/problems/size-mismatch", "The content has the wrong size");
    /// 400: the content broke off.
    pub const INTERRUPTED: Kind = Kind::new(400, "/problems/interrupted", "The content is incomplete");
    /// 404: nothing exists there.
    pub const NOT_FOUND: Kind = Kind::new(404, "/problems/not-found", "Not found");
    /// 405: another method is needed. The response needs an `Allow` field; see [`Problem::method_not_allowed`].
    pub const METHOD_NOT_ALLOWED: Kind = Kind::new(405, "/problems/method-not-allowed", "Method not allowed");
    /// 408: the client stopped sending.
    pub const STALLED: Kind = Kind::new(408, "/problems/stalled", "The content stopped arriving");
    /// 409: the name is taken.
    pub const CONFLICT: Kind = Kind::new(409, "/problems/conflict", "The name is taken");
    /// 410: the file was deleted, or its id voided.
    pub const GONE: Kind = Kind::new(410, "/problems/gone", "Deleted or ended");
    /// 412: a condition of the request does not hold.
    pub const PRECONDITION_FAILED: Kind = Kind::new(412, "/problems/precondition-failed", "Precondition failed");
    /// 413: the content exceeds a limit.
    pub const TOO_LARGE: Kind = Kind::new(413, "/problems/too-large", "The content is too large");
    /// 415: the content has a content coding.
    pub const UNSUPPORTED_CODING: Kind = Kind::new(415, "/problems/unsupported-coding", "Content coding not supported");
    /// 415: the content has another media type than the one that is needed.
    pub const UNSUPPORTED_MEDIA_TYPE: Kind =
        Kind::new(415, "/problems/unsupported-media-type", "Media type not supported");
    /// 416: the range selects nothing of the content.
    pub const RANGE_NOT_SATISFIABLE: Kind = Kind::new(416, "/problems/range-not-satisfiable", "Range not satisfiable");
    /// 422: the content has another digest than announced.
    pub const DIGEST_MISMATCH: Kind = Kind::new(422, "/problems/digest-mismatch", "The content has the wrong digest");
    /// 500: the host failed.
    pub const INTERNAL: Kind = Kind::new(500, "/problems/internal", "Internal server error");
    /// 502: the storage backend denied access.
    pub const DENIED: Kind = Kind::new(502, "/problems/denied", "The storage backend denied access");
    /// 503: a retry helps.
    pub const UNAVAILABLE: Kind = Kind::new(503, "/problems/unavailable", "Temporarily unavailable");
    /// 507: the storage backend is full.
    pub const NO_SPACE: Kind = Kind::new(507, "/problems/no-space", "The storage backend is full");

    /// Creates a kind of your own: its status, its `type` (a URI reference that stays the same), and its `title`.
    #[must_use]
    pub const fn new(status: u16, uri: &'static str, title: &'static str) -> Kind {
        Kind { status, uri, title }
    }
}

/// A problem document (RFC 9457) and the header fields of its response.
#[derive(Debug)]
pub struct Problem(Box<Members>);

/// The members of a problem document, and the header fields of its response.
#[derive(Debug)]
struct Members {
    kind: Kind,
    detail: Option<Cow<'static, str>>,
    field: Option<Cow<'static, str>>,
    limit: Option<u64>,
    /// The extension members, as they stand in the document.
    extensions: Vec<u8>,
    request_id: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Members {
    /// Returns the JSON document.
    fn document(&self) -> Vec<u8> {
        let mut json = b"{\"type\":".to_vec();
        append(&mut json, self.kind.uri);
        member(&mut json, "title", self.kind.title);
        member(&mut json, "status", &self.kind.status);
        if let Some(detail) = &self.detail {
            member(&mut json, "detail", detail);
        }
        if let Some(field) = &self.field {
            member(&mut json, "field", field);
        }
        if let Some(limit) = self.limit {
            member(&mut json, "limit", &limit);
        }
        json.extend_from_slice(&self.extensions);
        if let Some(id) = &self.request_id {
            member(&mut json, "request_id", id);
        }
        json.push(b'}');
        json
    }
}

/// Appends a member that is not the first.
fn member(json: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) {
    json.push(b',');
    append(json, name);
    json.push(b':');
    append(json, value);
}

fn append(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(json, value).expect("texts, numbers, lists and maps");
}

impl Problem {
    /// Creates an invalid-request problem: the field, and the reason.
    pub fn invalid(field: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::from(Kind::INVALID_REQUEST).detail(detail).field(field)
    }

    /// Creates the problem of a method that a path does not have. `allow` lists those that the path has, separated by
    /// commas.
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        Problem::from(Kind::METHOD_NOT_ALLOWED).header("allow", allow)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Sets the sentence for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets the invalid part of the request: a header field, a parameter, a member of the body.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Sets the exceeded limit, in bytes.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.0.limit = Some(bytes);
        self
    }

    /// Adds an extension member (RFC 9457, 3.2).
    ///
    /// # Panics
    /// If the value has no JSON form, such as a map whose keys are not texts.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Serialize) -> Self {
        member(&mut self.0.extensions, name, &value);
        self
    }

    /// Sets the host's id of the request, if there is one. The server's log has the cause under this id.
    #[must_use]
    pub fn request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// Returns whether a header field was added.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.headers.iter().any(|(there, _)| *there == name)
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.kind.status
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Problem(Box::new(Members {
            kind,
            detail: None,
            field: None,
            limit: None,
            extensions: Vec::new(),
            request_id: None,
            headers: Vec::new(),
        }))
    }
}

/// The default mapping of storage errors, for handlers without a more specific one.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let of = Problem::from;
        match error {
            Error::NotFound => of(Kind::NOT_FOUND),
            Error::Gone { reason } => of(Kind::GONE).detail(reason),
            Error::Conflict => of(Kind::CONFLICT),
            Error::Ended => of(Kind::GONE),
            // No object can have a malformed id.
            Error::InvalidArgument(Argument::FileId) => of(Kind::NOT_FOUND),
            Error::InvalidArgument(argument) => of(Kind::INVALID_REQUEST).field(argument.to_string()),
            Error::OutOfRange { size } => {
                of(Kind::RANGE_NOT_SATISFIABLE).header("content-range", ranges::unsatisfied_range(size))
            }
            Error::SizeMismatch { expected, actual } => of(Kind::SIZE_MISMATCH).detail(if actual > expected {
                format!("more than {expected} bytes arrived")
            } else {
                format!("{actual} of {expected} bytes arrived")
            }),
            Error::DigestMismatch => of(Kind::DIGEST_MISMATCH),
            Error::TooLarge { limit } => of(Kind::TOO_LARGE).limit(limit),
            Error::Interrupted { received } => {
                of(Kind::INTERRUPTED).detail(format!("{received} bytes arrived; none of them is kept"))
            }
            Error::Stalled { received } => {
                of(Kind::STALLED).detail(format!("{received} bytes arrived; none of them is kept"))
            }
            Error::NoSpace => of(Kind::NO_SPACE),
            Error::Denied => of(Kind::DENIED),
            Error::Unavailable { retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER, |after| after.as_secs());
                of(Kind::UNAVAILABLE).header("retry-after", seconds.to_string())
            }
            // The log has the id of the failure under the id of the request.
            Error::Internal { .. } => of(Kind::INTERNAL),
        }
    }
}

impl From<Problem> for Response {
    fn from(Problem(members): Problem) -> Self {
        // Caches may store a 404, 405 or 410 by default (RFC 9110, 15.1).
        let response = Response::new(members.kind.status)
            .content("application/problem+json", members.document())
            .header("cache-control", "no-store");
        members.headers.into_iter().fold(response, |response, (name, value)| response.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Problem};
    use crate::{Argument, Error};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn seen(problem: impl Into<Problem>) -> (Value, Vec<(&'static str, String)>) {
        let Problem(members) = problem.into();
        (serde_json::from_slice(&members.document()).unwrap(), members.headers)
    }

    #[test]
    fn each_failure_of_the_store_has_its_status_and_type() {
        for (error, status, uri) in [
            (Error::NotFound, 404, "not-found"),
            (Error::Gone { reason: "deleted".into() }, 410, "gone"),
            (Error::Conflict, 409, "conflict"),
            (Error::Ended, 410, "gone"),
            (Error::InvalidArgument(Argument::FileId), 404, "not-found"),
            (Error::InvalidArgument(Argument::ContentType), 400, "invalid-request"),
            (Error::OutOfRange { size: 3 }, 416, "range-not-satisfiable"),
            (Error::SizeMismatch { expected: 5, actual: 6 }, 400, "size-mismatch"),
            (Error::DigestMismatch, 422, "digest-mismatch"),
            (Error::TooLarge { limit: 3 }, 413, "too-large"),
            (Error::Interrupted { received: 3 }, 400, "interrupted"),
            (Error::Stalled { received: 3 }, 408, "stalled"),
            (Error::NoSpace, 507, "no-space"),
            (Error::Denied, 502, "denied"),
            (Error::Unavailable { retry_after: None }, 503, "unavailable"),
            (Error::Internal { id: "x".into() }, 500, "internal"),
        ] {
            let (body, _) = seen(error.clone());
            assert_eq!(body["status"], status, "{error}");
            assert_eq!(body["type"], format!("/problems/{uri}"), "{error}");
            assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{error}");
        }
    }

    #[test]
    fn what_a_client_can_use_is_said() {
        let (body, _) = seen(Problem::invalid("content-type", "not a media type"));
        let title = "Invalid request";
        let uri = "/problems/invalid-request";
        let all = json!({
            "type": uri, "title": title, "status": 400, "detail": "not a media type", "field": "content-type",
        });
        assert_eq!(body, all);

        assert_eq!(seen(Error::InvalidArgument(Argument::Metadata)).0["field"], "metadata");
        assert_eq!(seen(Error::TooLarge { limit: 7 }).0["limit"], 7);
        let internal = Problem::from(Error::Internal { id: "c0ffee".into() }).request_id(Some("r1".into()));
        assert_eq!(seen(internal).0["request_id"], "r1");
        assert_eq!(seen(Error::SizeMismatch { expected: 5, actual: 6 }).0["detail"], "more than 5 bytes arrived");
        assert_eq!(seen(Error::SizeMismatch { expected: 5, actual: 3 }).0["detail"], "3 of 5 bytes arrived");
        let after = |retry_after| seen(Error::Unavailable { retry_after }).1;
        assert_eq!(after(Some(Duration::from_secs(30))), [("retry-after", "30".to_owned())]);
        assert_eq!(after(None), [("retry-after", "5".to_owned())]);
        assert_eq!(seen(Error::OutOfRange { size: 9 }).1, [("content-range", "bytes */9".to_owned())]);
    }

    #[test]
    fn a_problem_says_nothing_that_it_does_not_know() {
        let (body, headers) = seen(Kind::NOT_FOUND);
        let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["status", "title", "type"]);
        assert!(headers.is_empty());
    }

    #[test]
    fn members_of_a_portal_stand_before_the_id_of_the_request() {
        const FULL: Kind = Kind::new(429, "https://example.com/full", "Too many files");
        let Problem(members) =
            Problem::from(FULL).member("files", 7).member("names", vec!["a"]).request_id(Some("r".into()));
        let text = String::from_utf8(members.document()).unwrap();
        let uri = "https://example.com/full";
        let expected = format!(
            r#"{{"type":"{uri}","title":"Too many files","status":429,"files":7,"names":["a"],"request_id":"r"}}"#
        );
        assert_eq!(text, expected);
    }
}
