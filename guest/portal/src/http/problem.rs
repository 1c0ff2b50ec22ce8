//! Problems: errors as the client sees them (RFC 9457), and the mapping from errors of the store.
//!
//! Invariant: the `type` of a problem is stable; its texts are for people.

use crate::{http::response::Response, limits::RETRY_AFTER, policy::parts::Run};
use portico_guest::{Argument, Error, http::ranges};
use serde::Serialize;
use std::borrow::Cow;

/// A kind of problem: status, `type` and `title`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(u16, &'static str, &'static str);

impl Kind {
    pub(crate) const INVALID_REQUEST: Kind = Kind(400, "/problems/invalid-request", "Invalid request");
    pub(crate) const SIZE_MISMATCH: Kind = Kind(400, "/problems/size-mismatch", "The content has the wrong size");
    pub(crate) const INCOMPLETE_UPLOAD: Kind =
        Kind(400, "/problems/incomplete-upload", "Parts of the file are missing");
    pub(crate) const INTERRUPTED: Kind = Kind(400, "/problems/interrupted", "The content is incomplete");
    pub(crate) const LENGTH_MISMATCH: Kind = Kind(
        400,
        "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
        "The length of the upload is another one",
    );
    pub(crate) const OTHER_KIND: Kind = Kind(403, "/problems/other-kind", "The upload takes no such content");
    pub(crate) const NOT_FOUND: Kind = Kind(404, "/problems/not-found", "Not found");
    pub(crate) const METHOD_NOT_ALLOWED: Kind = Kind(405, "/problems/method-not-allowed", "Method not allowed");
    pub(crate) const STALLED: Kind = Kind(408, "/problems/stalled", "The content stopped arriving");
    pub(crate) const CONFLICT: Kind = Kind(409, "/problems/conflict", "The name is taken");
    pub(crate) const PART_CONFLICT: Kind = Kind(409, "/problems/part-conflict", "The part exists with other content");
    pub(crate) const SESSION_COMPLETE: Kind = Kind(409, "/problems/session-complete", "The session is complete");
    pub(crate) const SESSION_BUSY: Kind = Kind(409, "/problems/session-busy", "Another finalize is running");
    pub(crate) const IDEMPOTENCY_KEY_REUSED: Kind =
        Kind(409, "/problems/idempotency-key-reused", "The idempotency key was used for another file");
    pub(crate) const OFFSET_MISMATCH: Kind = Kind(
        409,
        "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
        "The upload has another offset",
    );
    pub(crate) const GONE: Kind = Kind(410, "/problems/gone", "Deleted or ended");
    pub(crate) const PRECONDITION_FAILED: Kind = Kind(412, "/problems/precondition-failed", "Precondition failed");
    pub(crate) const UNSUPPORTED_VERSION: Kind =
        Kind(412, "/problems/unsupported-version", "This version of the protocol is not supported");
    pub(crate) const TOO_LARGE: Kind = Kind(413, "/problems/too-large", "The content is too large");
    pub(crate) const UNSUPPORTED_CODING: Kind =
        Kind(415, "/problems/unsupported-coding", "Content coding not supported");
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Kind =
        Kind(415, "/problems/unsupported-media-type", "Media type not supported");
    pub(crate) const RANGE_NOT_SATISFIABLE: Kind =
        Kind(416, "/problems/range-not-satisfiable", "Range not satisfiable");
    pub(crate) const DIGEST_MISMATCH: Kind = Kind(422, "/problems/digest-mismatch", "The content has the wrong digest");
    pub(crate) const LOCKED: Kind = Kind(423, "/problems/locked", "The upload cannot be looked at now");
    /// The status is that of tus 1.0.
    pub(crate) const CHECKSUM_MISMATCH: Kind =
        Kind(460, "/problems/checksum-mismatch", "The content has the wrong checksum");
    pub(crate) const INTERNAL: Kind = Kind(500, "/problems/internal", "Internal server error");
    pub(crate) const DENIED: Kind = Kind(502, "/problems/denied", "The storage backend denied access");
    pub(crate) const UNAVAILABLE: Kind = Kind(503, "/problems/unavailable", "Temporarily unavailable");
    pub(crate) const NO_SPACE: Kind = Kind(507, "/problems/no-space", "The storage backend is full");
}

/// A problem document (RFC 9457) and its header fields.
#[derive(Debug)]
pub(crate) struct Problem(Box<Members>);

/// The members of a problem document, and the header fields of its response.
#[derive(Debug, Serialize)]
struct Members {
    #[serde(rename = "type")]
    uri: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
    /// The invalid part of the request: a header field, a parameter, a member of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
    /// The limit that was exceeded, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// The missing parts, as runs of part numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_parts: Option<Vec<Run>>,
    /// The offset of the upload, and the one that the request gave (draft-ietf-httpbis-resumable-upload, 4.4.2).
    #[serde(rename = "expected-offset", skip_serializing_if = "Option::is_none")]
    expected_offset: Option<u64>,
    #[serde(rename = "provided-offset", skip_serializing_if = "Option::is_none")]
    provided_offset: Option<u64>,
    /// The files of a failed form that may still exist, because their removal failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_files: Option<Vec<String>>,
    /// The host's id of the request. The server's log has the cause under this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip)]
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// Creates an invalid-request problem: the field, and the reason.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::from(Kind::INVALID_REQUEST).detail(detail).field(field)
    }

    /// Adds a header field.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Sets the sentence for people.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets the invalid part of the request.
    pub(crate) fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Sets the exceeded limit, in bytes.
    pub(crate) fn limit(mut self, bytes: u64) -> Self {
        self.0.limit = Some(bytes);
        self
    }

    /// Whether a header field was added.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.headers.iter().any(|(there, _)| *there == name)
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    /// Sets the offset of an upload, and the one that the request gave.
    pub(crate) fn offsets(mut self, expected: u64, provided: u64) -> Self {
        self.0.expected_offset = Some(expected);
        self.0.provided_offset = Some(provided);
        self
    }

    /// Sets the missing parts.
    pub(crate) fn missing_parts(mut self, runs: Vec<Run>) -> Self {
        self.0.missing_parts = Some(runs);
        self
    }

    /// Sets the ids of the files of a failed form that may still exist.
    pub(crate) fn remaining_files(mut self, ids: Vec<String>) -> Self {
        self.0.remaining_files = Some(ids);
        self
    }

    /// Sets the id of the request, if the host has given one.
    pub(crate) fn request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }
}

impl From<Kind> for Problem {
    fn from(Kind(status, uri, title): Kind) -> Self {
        Problem(Box::new(Members {
            uri,
            title,
            status,
            detail: None,
            field: None,
            limit: None,
            missing_parts: None,
            expected_offset: None,
            provided_offset: None,
            remaining_files: None,
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
        let response = Response::new(members.status)
            .json("application/problem+json", &members)
            .header("cache-control", "no-store");
        members.headers.into_iter().fold(response, |response, (name, value)| response.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Problem};
    use portico_guest::{Argument, Error};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn seen(problem: impl Into<Problem>) -> (Value, Vec<(&'static str, String)>) {
        let Problem(members) = problem.into();
        (serde_json::to_value(&members).unwrap(), members.headers)
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
}
