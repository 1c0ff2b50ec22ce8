//! The failures of S3 and their meaning: the one table from its errors to those of the contract.
//!
//! | S3 responds | kind | retried | the caller gets |
//! | --- | --- | --- | --- |
//! | NoSuchKey; 404 to a `HEAD` | `Missing` | no | the meaning of a missing key there |
//! | NoSuchUpload | `NoUpload` | no | looked up first: a lost response may have been a success |
//! | 412 PreconditionFailed | `Precondition` | no | looked up first: our own write may have succeeded |
//! | 409 ConditionalRequestConflict, OperationAborted | `Racing` | yes | `unavailable` |
//! | NoSuchBucket, redirects | `Misplaced` | no | `unavailable`, with the place of the bucket |
//! | AccessDenied, 401, 403, no credentials | `Denied` | no | `denied` |
//! | ExpiredToken, InvalidToken, TokenRefreshRequired | `Expired` | yes | `denied` |
//! | RequestTimeTooSkewed | `Skewed` | no | `unavailable` |
//! | SlowDown, 429, 503 | `Throttled` | yes | `unavailable`, with the time of `Retry-After` |
//! | InternalError, RequestTimeout, 5xx | `Transient` | yes | `unavailable` |
//! | BadDigest, content digests or lengths that do not match | `Damaged` | yes | `unavailable` |
//! | QuotaExceeded, storage full, 507 | `Full` | no | `no-space` |
//! | EntityTooLarge | `TooLarge` | no | `too-large` of content, else `unavailable` |
//! | InvalidPart, InvalidPartOrder, EntityTooSmall | `Pieces` | no | `internal` |
//! | 501 NotImplemented | `Unsupported` | no | `internal` |
//! | anything else | `Other` | no | `internal` |
//!
//! | no response of S3, because | kind | retried | the caller gets |
//! | --- | --- | --- | --- |
//! | there is none: connections, timeouts, a response that is cut | `Transient` | yes | `unavailable` |
//! | an intermediary responds 413 | `TooLarge` | no | `too-large` of content, else `unavailable` |
//! | an intermediary responds with what may be temporary: 2xx, 404 (an ingress that reloads), 408, 425, 429, 500, 502 to 504, 520 to 530 | `Transient` | yes | `unavailable` |
//! | an intermediary responds with any other status | `Foreign` | no | `unavailable` |
//!
//! Invariant: only a response of S3 itself counts as absence, refusal or success; see `answer.rs`. After any other failure
//! the change may have been made.

use crate::request::answer::Answer;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use portico_store::Error;
use std::error::Error as StdError;
use std::fmt;

/// The meaning of a failure; see the table of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    NoUpload,
    Precondition,
    Racing,
    Misplaced,
    Denied,
    Expired,
    Skewed,
    Throttled,
    Transient,
    Damaged,
    Full,
    TooLarge,
    Pieces,
    Unsupported,
    Foreign,
    Other,
}

impl Kind {
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Kind::Racing | Kind::Expired | Kind::Throttled | Kind::Transient | Kind::Damaged)
    }

    /// Returns whether the change may have been made despite the failure.
    pub(crate) fn is_doubtful(self) -> bool {
        matches!(self, Kind::Transient | Kind::TooLarge | Kind::Foreign)
    }
}

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// Value of `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u32>,
    /// Status of a response that is not from S3.
    pub(crate) foreign: Option<u16>,
    /// Size of the content that was sent, in bytes.
    sent: Option<u64>,
    what: String,
    request_id: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    /// Creates a failure without a response.
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        let what = what.into();
        Failure { kind, retry_after: None, foreign: None, sent: None, what, request_id: None, cause: None }
    }

    /// Creates the failure of a success that lacks what every success of S3 has.
    pub(crate) fn no_success_of_s3(what: &str, lacking: &str) -> Self {
        let what = format!("{what}: a success without {lacking}, which is not an answer of S3");
        Failure { foreign: Some(200), ..Failure::new(kind_of_foreign(200), what) }
    }

    /// Turns this into the failure of a change that may have been made.
    pub(crate) fn in_doubt(mut self) -> Self {
        self.kind = Kind::Transient;
        self.what = format!("{}; the change may have been made", self.what);
        self
    }

    /// Adds the size of the request's content, in bytes.
    pub(crate) fn with_content(mut self, size: u64) -> Self {
        self.sent = Some(size);
        self
    }

    /// Converts the SDK's error of a request other than `HEAD`.
    pub(crate) fn of<E>(what: String, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        Self::read(what, error, false)
    }

    /// Converts the SDK's error of a `HEAD`.
    pub(crate) fn of_head<E>(what: String, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        Self::read(what, error, true)
    }

    fn read<E>(what: String, error: SdkError<E, HttpResponse>, is_head: bool) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let Some(answer) = error.raw_response().map(|response| Answer::new(response, is_head)) else {
            let kind = match &error {
                error if lacks_credentials(error) => Kind::Denied,
                SdkError::ConstructionFailure(_) => Kind::Other,
                _ => Kind::Transient,
            };
            return Failure { cause: Some(Box::new(error)), ..Failure::new(kind, what) };
        };
        let (retry_after, request_id, status) = (answer.retry_after(), answer.request_id(), answer.status());
        if answer.is_cut() {
            let cause = Some(error.into());
            return Failure { retry_after, request_id, cause, ..Failure::new(Kind::Transient, what) };
        }
        if !answer.is_of_s3() {
            // The SDK would only add that the error is unhandled.
            let what = format!("{what}: {}", answer.described());
            let failure = Failure::new(kind_of_foreign(status), what);
            return Failure { retry_after, request_id, foreign: Some(status), ..failure };
        }
        let kind = kind_of(error.as_service_error().and_then(|error| error.code()), status);
        let what = match answer.right_place().filter(|_| kind == Kind::Misplaced) {
            Some(object) => format!("{what}: {object}"),
            None => what,
        };
        Failure { retry_after, request_id, cause: Some(Box::new(error)), ..Failure::new(kind, what) }
    }
}

/// Returns the meaning of a response that is not from S3.
fn kind_of_foreign(status: u16) -> Kind {
    match status {
        413 => Kind::TooLarge,
        200..=299 | 404 | 408 | 425 | 429 | 500 | 502..=504 | 520..=530 => Kind::Transient,
        _ => Kind::Foreign,
    }
}

fn kind_of(code: Option<&str>, status: u16) -> Kind {
    match (code.unwrap_or_default(), status) {
        ("NoSuchKey", _) | ("NotFound" | "", 404) => Kind::Missing,
        ("NoSuchUpload", _) => Kind::NoUpload,
        ("NoSuchBucket" | "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _)
        | (_, 301 | 307 | 308) => Kind::Misplaced,
        ("PreconditionFailed", _) | (_, 412) => Kind::Precondition,
        ("ConditionalRequestConflict" | "OperationAborted", _) => Kind::Racing,
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => Kind::Expired,
        ("RequestTimeTooSkewed", _) => Kind::Skewed,
        ("SlowDown" | "SlowDownRead" | "SlowDownWrite" | "ServiceUnavailable" | "Throttling", _)
        | ("ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests", _) => Kind::Throttled,
        ("RequestTimeout" | "InternalError" | "IncompleteBody", _) => Kind::Transient,
        ("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch", _) => {
            Kind::Damaged
        }
        ("QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "InsufficientCapacity", _)
        | (_, 507) => Kind::Full,
        ("EntityTooLarge", _) => Kind::TooLarge,
        ("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall", _) => Kind::Pieces,
        ("NotImplemented", _) | (_, 501) => Kind::Unsupported,
        (_, 401 | 403) => Kind::Denied,
        (_, 409) => Kind::Racing,
        (_, 429 | 503) => Kind::Throttled,
        (_, 500..) => Kind::Transient,
        _ => Kind::Other,
    }
}

fn lacks_credentials(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<aws_credential_types::provider::error::CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match (failure.kind, failure.sent) {
            (Kind::Denied | Kind::Expired, _) => Error::Denied(failure.into()),
            (Kind::TooLarge, Some(size)) => {
                // The contract's error cannot name the server that refused.
                tracing::warn!(error = %failure, size, "content is refused as too large");
                Error::TooLarge { limit: size.saturating_sub(1) }
            }
            (
                Kind::Racing
                | Kind::Misplaced
                | Kind::Skewed
                | Kind::Throttled
                | Kind::Transient
                | Kind::Damaged
                | Kind::TooLarge
                | Kind::Foreign,
                _,
            ) => Error::Unavailable { retry_after: failure.retry_after, cause: failure.into() },
            (Kind::Full, _) => Error::NoSpace,
            (
                Kind::Missing | Kind::NoUpload | Kind::Precondition | Kind::Pieces | Kind::Unsupported | Kind::Other,
                _,
            ) => Error::Internal(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_s3_mean_what_the_table_says() {
        for (code, status, kind) in [
            (Some("NoSuchKey"), 404, Kind::Missing),
            (None, 404, Kind::Missing),
            (Some("NotFound"), 404, Kind::Missing),
            (Some("NoSuchWebsiteConfiguration"), 404, Kind::Other),
            (Some("PermanentRedirect"), 301, Kind::Misplaced),
            (None, 301, Kind::Misplaced),
            (Some("EntityTooLarge"), 400, Kind::TooLarge),
            (Some("NoSuchUpload"), 404, Kind::NoUpload),
            (Some("NoSuchBucket"), 404, Kind::Misplaced),
            (Some("PreconditionFailed"), 412, Kind::Precondition),
            (Some("ConditionalRequestConflict"), 409, Kind::Racing),
            (Some("AccessDenied"), 403, Kind::Denied),
            (Some("SignatureDoesNotMatch"), 403, Kind::Denied),
            (Some("InvalidAccessKeyId"), 403, Kind::Denied),
            (Some("ExpiredToken"), 400, Kind::Expired),
            (Some("RequestTimeTooSkewed"), 403, Kind::Skewed),
            (Some("SlowDown"), 503, Kind::Throttled),
            (None, 429, Kind::Throttled),
            (Some("InternalError"), 200, Kind::Transient),
            (Some("InternalError"), 500, Kind::Transient),
            (Some("RequestTimeout"), 400, Kind::Transient),
            (None, 502, Kind::Transient),
            (Some("BadDigest"), 400, Kind::Damaged),
            (Some("QuotaExceeded"), 403, Kind::Full),
            (None, 507, Kind::Full),
            (Some("InvalidPart"), 400, Kind::Pieces),
            (Some("EntityTooSmall"), 400, Kind::Pieces),
            (Some("NotImplemented"), 501, Kind::Unsupported),
            (Some("InvalidArgument"), 400, Kind::Other),
        ] {
            assert_eq!(kind_of(code, status), kind, "{code:?} {status}");
        }
    }

    #[test]
    fn answers_of_others_say_nothing_about_objects() {
        for status in 100..600 {
            let kind = kind_of_foreign(status);
            assert!(
                kind.is_doubtful() && !matches!(Error::from(Failure::new(kind, "")), Error::Internal(_)),
                "{status}"
            );
            let may_pass = [404, 408, 425, 429, 500, 502, 503, 504];
            let is_repeated =
                (200..300).contains(&status) || (520..531).contains(&status) || may_pass.contains(&status);
            assert_eq!(kind.is_retryable(), is_repeated, "{status}");
        }
    }

    #[test]
    fn content_that_is_too_large_is_told_so_and_nothing_else_is() {
        let failure = || Failure::new(kind_of_foreign(413), "a request");
        assert!(matches!(Error::from(failure()), Error::Unavailable { .. }));
        assert!(matches!(Error::from(failure().with_content(8)), Error::TooLarge { limit: 7 }));
        assert!(matches!(Error::from(Failure::new(Kind::Foreign, "").with_content(8)), Error::Unavailable { .. }));
    }

    #[test]
    fn each_kind_becomes_one_error_of_the_contract() {
        let error = |kind| Error::from(Failure::new(kind, "a request"));
        assert!(matches!(error(Kind::Denied), Error::Denied(_)));
        assert!(matches!(error(Kind::Expired), Error::Denied(_)));
        assert!(matches!(error(Kind::Full), Error::NoSpace));
        for kind in [
            Kind::Racing,
            Kind::Misplaced,
            Kind::Skewed,
            Kind::Throttled,
            Kind::Transient,
            Kind::Damaged,
            Kind::TooLarge,
            Kind::Foreign,
        ] {
            assert!(matches!(error(kind), Error::Unavailable { .. }), "{kind:?}");
        }
        for kind in [Kind::Missing, Kind::NoUpload, Kind::Precondition, Kind::Pieces, Kind::Unsupported, Kind::Other] {
            assert!(matches!(error(kind), Error::Internal(_)), "{kind:?}");
        }
    }
}
