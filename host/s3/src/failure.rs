//! What S3 answers, and what that means: the one table from its errors to those of the contract.
//!
//! | S3 says | kind | tried again | the caller gets |
//! | --- | --- | --- | --- |
//! | 404, NoSuchKey | `Missing` | no | what a missing key means there |
//! | NoSuchUpload | `NoUpload` | no | looked up first: a lost answer may have been a success |
//! | 412 PreconditionFailed | `Precondition` | no | looked up first: it may be our own success |
//! | 409 ConditionalRequestConflict, OperationAborted | `Racing` | yes | `unavailable` |
//! | NoSuchBucket, PermanentRedirect | `Misplaced` | no | `unavailable` |
//! | AccessDenied, 401, 403, no credentials | `Denied` | no | `denied` |
//! | ExpiredToken, InvalidToken, TokenRefreshRequired | `Expired` | yes | `denied` |
//! | RequestTimeTooSkewed | `Skewed` | no | `unavailable` |
//! | SlowDown, 429, 503 | `Throttled` | yes | `unavailable`, after what `Retry-After` says |
//! | InternalError, RequestTimeout, 5xx, connections, timeouts | `Transient` | yes | `unavailable` |
//! | BadDigest, content digests that do not match | `Damaged` | yes | `unavailable` |
//! | QuotaExceeded, storage full, 507 | `Full` | no | `no-space` |
//! | InvalidPart, InvalidPartOrder, EntityTooSmall | `Pieces` | no | `internal` |
//! | 501 NotImplemented | `Unsupported` | no | `internal` |
//! | anything else | `Other` | no | `internal` |

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use portico_store::Error;
use std::error::Error as StdError;
use std::fmt;

/// What a failure means; see the table of this module.
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
    Pieces,
    Unsupported,
    Other,
}

impl Kind {
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Kind::Racing | Kind::Expired | Kind::Throttled | Kind::Transient | Kind::Damaged)
    }
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// Seconds after which the server wants to be asked again.
    pub(crate) retry_after: Option<u32>,
    what: String,
    request_id: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    /// A failure that no server answered.
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Failure { kind, retry_after: None, what: what.into(), request_id: None, cause: None }
    }

    /// The failure of a change that may have been made all the same.
    pub(crate) fn in_doubt(mut self) -> Self {
        self.kind = Kind::Transient;
        self.what = format!("{}; it may have been done all the same", self.what);
        self
    }

    /// What the SDK reports of a request.
    pub(crate) fn of<E>(what: String, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let retry_after = error
            .raw_response()
            .and_then(|response| response.headers().get("retry-after"))
            .and_then(|value| value.trim().parse().ok());
        let service = error.as_service_error();
        let kind = match status {
            Some(status) if service.is_some() => kind_of(service.and_then(|error| error.code()), status),
            // Not what the service says, but what a proxy or a connection does.
            Some(status @ 500..) => kind_of(None, status),
            Some(_) => Kind::Transient,
            None if lacks_credentials(&error) => Kind::Denied,
            None => match &error {
                SdkError::ConstructionFailure(_) => Kind::Other,
                _ => Kind::Transient,
            },
        };
        let request_id = service.and_then(|error| error.request_id()).map(str::to_owned);
        Failure { kind, retry_after, what, request_id, cause: Some(Box::new(error)) }
    }
}

fn kind_of(code: Option<&str>, status: u16) -> Kind {
    match (code.unwrap_or_default(), status) {
        ("NoSuchKey" | "NotFound", _) => Kind::Missing,
        ("NoSuchUpload", _) => Kind::NoUpload,
        ("NoSuchBucket" | "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) => {
            Kind::Misplaced
        }
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
        ("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall", _) => Kind::Pieces,
        ("NotImplemented", _) | (_, 501) => Kind::Unsupported,
        (_, 401 | 403) => Kind::Denied,
        (_, 404) => Kind::Missing,
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
        match failure.kind {
            Kind::Denied | Kind::Expired => Error::Denied(failure.into()),
            Kind::Racing | Kind::Misplaced | Kind::Skewed | Kind::Throttled | Kind::Transient | Kind::Damaged => {
                Error::Unavailable { retry_after: failure.retry_after, cause: failure.into() }
            }
            Kind::Full => Error::NoSpace,
            Kind::Missing | Kind::NoUpload | Kind::Precondition | Kind::Pieces | Kind::Unsupported | Kind::Other => {
                Error::Internal(failure.into())
            }
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
    fn each_kind_becomes_one_error_of_the_contract() {
        let error = |kind| Error::from(Failure::new(kind, "a request"));
        assert!(matches!(error(Kind::Denied), Error::Denied(_)));
        assert!(matches!(error(Kind::Expired), Error::Denied(_)));
        assert!(matches!(error(Kind::Full), Error::NoSpace));
        for kind in [Kind::Racing, Kind::Misplaced, Kind::Skewed, Kind::Throttled, Kind::Transient, Kind::Damaged] {
            assert!(matches!(error(kind), Error::Unavailable { .. }), "{kind:?}");
        }
        for kind in [Kind::Missing, Kind::NoUpload, Kind::Precondition, Kind::Pieces, Kind::Unsupported, Kind::Other] {
            assert!(matches!(error(kind), Error::Internal(_)), "{kind:?}");
        }
    }
}
