//! Errors as the client sees them (RFC 9457), in one table, and what each failure of the store becomes.
//!
//! The `type` of a problem is stable; its texts are for people.

use crate::{
    http::response::Response,
    limits::RETRY_AFTER,
    policy::{parts::Run, ranges},
};
use portico_guest::{Argument, Error};
use serde::Serialize;
use std::borrow::Cow;

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Conflict,
    Denied,
    DigestMismatch,
    Gone,
    IdempotencyKeyReused,
    IncompleteUpload,
    Internal,
    Interrupted,
    InvalidRequest,
    MethodNotAllowed,
    NoSpace,
    NotFound,
    PartConflict,
    PreconditionFailed,
    RangeNotSatisfiable,
    SessionBusy,
    SessionComplete,
    SizeMismatch,
    Stalled,
    TooLarge,
    Unavailable,
    UnsupportedCoding,
    UnsupportedMediaType,
}

impl Kind {
    /// Status, `type` and `title`.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Kind::InvalidRequest => (400, "/problems/invalid-request", "The request is not as it must be"),
            Kind::SizeMismatch => (400, "/problems/size-mismatch", "The content has another size than announced"),
            Kind::IncompleteUpload => (400, "/problems/incomplete-upload", "Parts of the file are missing"),
            Kind::Interrupted => (400, "/problems/interrupted", "The content did not arrive whole"),
            Kind::NotFound => (404, "/problems/not-found", "There is nothing here"),
            Kind::MethodNotAllowed => (405, "/problems/method-not-allowed", "That cannot be done here"),
            Kind::Stalled => (408, "/problems/stalled", "The content stopped arriving"),
            Kind::Conflict => (409, "/problems/conflict", "Something else exists under that name"),
            Kind::PartConflict => (409, "/problems/part-conflict", "A part of other content has that number"),
            Kind::SessionComplete => (409, "/problems/session-complete", "The session has made its file"),
            Kind::SessionBusy => (409, "/problems/session-busy", "The file of the session is being made"),
            Kind::IdempotencyKeyReused => {
                (409, "/problems/idempotency-key-reused", "The idempotency key was used for another file")
            }
            Kind::Gone => (410, "/problems/gone", "It existed and is gone for good"),
            Kind::PreconditionFailed => (412, "/problems/precondition-failed", "A condition does not hold"),
            Kind::TooLarge => (413, "/problems/too-large", "The content is too large"),
            Kind::UnsupportedCoding => (415, "/problems/unsupported-coding", "The content is coded"),
            Kind::UnsupportedMediaType => (415, "/problems/unsupported-media-type", "The content is of another type"),
            Kind::RangeNotSatisfiable => (416, "/problems/range-not-satisfiable", "The range is beyond the end"),
            Kind::DigestMismatch => (422, "/problems/digest-mismatch", "The content has another digest than announced"),
            Kind::Internal => (500, "/problems/internal", "The server failed"),
            Kind::Denied => (502, "/problems/denied", "The store refuses the server"),
            Kind::Unavailable => (503, "/problems/unavailable", "It cannot be done at present"),
            Kind::NoSpace => (507, "/problems/no-space", "The store is full"),
        }
    }
}

/// A problem: what went wrong, and how to say it.
#[derive(Debug)]
pub(crate) struct Problem(Box<Members>);

/// The members of a problem's document, and the header fields that go with it.
#[derive(Debug, Serialize)]
struct Members {
    #[serde(rename = "type")]
    uri: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
    /// What of the request is wrong: a header field, a parameter, a member of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
    /// The limit that was exceeded, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// The parts that are missing, as runs of their numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_parts: Option<Vec<Run>>,
    /// Of the request, under which the server's log has the cause. The host gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip)]
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A request that breaks a rule: where, and how.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::from(Kind::InvalidRequest).detail(detail).field(field)
    }

    /// With a header field.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With a sentence for people.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// With what of the request is wrong.
    pub(crate) fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// With the limit that was exceeded, in bytes.
    pub(crate) fn limit(mut self, bytes: u64) -> Self {
        self.0.limit = Some(bytes);
        self
    }

    /// With the parts that are missing.
    pub(crate) fn missing_parts(mut self, runs: Vec<Run>) -> Self {
        self.0.missing_parts = Some(runs);
        self
    }

    /// With the id of its request, if the host has given it one.
    pub(crate) fn request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        let (status, uri, title) = kind.row();
        Problem(Box::new(Members {
            uri,
            title,
            status,
            detail: None,
            field: None,
            limit: None,
            missing_parts: None,
            request_id: None,
            headers: Vec::new(),
        }))
    }
}

/// What a failure of the store is to a client, where the handler does not know better.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let of = Problem::from;
        match error {
            Error::NotFound => of(Kind::NotFound),
            Error::Gone { reason } => of(Kind::Gone).detail(reason),
            Error::Conflict => of(Kind::Conflict),
            Error::Ended => of(Kind::Gone),
            // A name that no store takes is the name of nothing.
            Error::InvalidArgument(Argument::FileId) => of(Kind::NotFound),
            Error::InvalidArgument(argument) => of(Kind::InvalidRequest).field(argument.to_string()),
            Error::OutOfRange { size } => {
                of(Kind::RangeNotSatisfiable).header("content-range", ranges::unsatisfied_range(size))
            }
            Error::SizeMismatch { expected, actual } => of(Kind::SizeMismatch).detail(if actual > expected {
                format!("more than {expected} bytes came")
            } else {
                format!("{actual} of {expected} bytes came")
            }),
            Error::DigestMismatch => of(Kind::DigestMismatch),
            Error::TooLarge { limit } => of(Kind::TooLarge).limit(limit),
            Error::Interrupted { received } => {
                of(Kind::Interrupted).detail(format!("{received} bytes came, and none of them is kept"))
            }
            Error::Stalled { received } => {
                of(Kind::Stalled).detail(format!("{received} bytes came, and none of them is kept"))
            }
            Error::NoSpace => of(Kind::NoSpace),
            Error::Denied => of(Kind::Denied),
            Error::Unavailable { retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER, |after| after.as_secs());
                of(Kind::Unavailable).header("retry-after", seconds.to_string())
            }
            // The log has the id of the failure under that of the request.
            Error::Internal { .. } => of(Kind::Internal),
        }
    }
}

impl From<Problem> for Response {
    fn from(Problem(members): Problem) -> Self {
        // A 404, 405 or 410 could be cached by default (RFC 9110, 15.1).
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
        let title = "The request is not as it must be";
        let uri = "/problems/invalid-request";
        let all = json!({
            "type": uri, "title": title, "status": 400, "detail": "not a media type", "field": "content-type",
        });
        assert_eq!(body, all);

        assert_eq!(seen(Error::InvalidArgument(Argument::Metadata)).0["field"], "metadata");
        assert_eq!(seen(Error::TooLarge { limit: 7 }).0["limit"], 7);
        let internal = Problem::from(Error::Internal { id: "c0ffee".into() }).request_id(Some("r1".into()));
        assert_eq!(seen(internal).0["request_id"], "r1");
        assert_eq!(seen(Error::SizeMismatch { expected: 5, actual: 6 }).0["detail"], "more than 5 bytes came");
        assert_eq!(seen(Error::SizeMismatch { expected: 5, actual: 3 }).0["detail"], "3 of 5 bytes came");
        let after = |retry_after| seen(Error::Unavailable { retry_after }).1;
        assert_eq!(after(Some(Duration::from_secs(30))), [("retry-after", "30".to_owned())]);
        assert_eq!(after(None), [("retry-after", "5".to_owned())]);
        assert_eq!(seen(Error::OutOfRange { size: 9 }).1, [("content-range", "bytes */9".to_owned())]);
    }

    #[test]
    fn a_problem_says_nothing_that_it_does_not_know() {
        let (body, headers) = seen(Kind::NotFound);
        let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["status", "title", "type"]);
        assert!(headers.is_empty());
    }
}
