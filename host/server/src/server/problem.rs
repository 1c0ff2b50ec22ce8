//! Answers that the host gives itself.
//!
//! Invariant: a problem has the form of the portal's own, and where both know a `type` it means the same.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// `type` and `title` of the problem that the host tells with a status.
fn kind(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("/problems/invalid-request", "The request is not as it must be"),
        StatusCode::UNAUTHORIZED => ("/problems/unauthorized", "A token is needed"),
        StatusCode::METHOD_NOT_ALLOWED => ("/problems/method-not-allowed", "That cannot be done here"),
        StatusCode::LENGTH_REQUIRED => ("/problems/length-required", "The length of the content is needed"),
        StatusCode::URI_TOO_LONG => ("/problems/target-too-long", "The target is too long"),
        StatusCode::MISDIRECTED_REQUEST => ("/problems/misdirected", "The request is for another server"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ("/problems/headers-too-large", "The headers are too large"),
        StatusCode::NOT_IMPLEMENTED => ("/problems/unsupported-transfer", "The content is transferred in another way"),
        StatusCode::BAD_GATEWAY => ("/problems/no-answer", "The portal gave no answer"),
        StatusCode::SERVICE_UNAVAILABLE => ("/problems/unavailable", "It cannot be done at present"),
        _ => ("/problems/internal", "The server failed"),
    }
}

/// An RFC 9457 problem, with the id of its request.
pub(super) fn problem(status: StatusCode, detail: &str, request: &str) -> Response<Full<Bytes>> {
    let (uri, title) = kind(status);
    let body = serde_json::json!({
        "type": uri,
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "request_id": request,
    });
    fixed(status, "application/problem+json", body.to_string())
}

/// [`StatusCode::SERVICE_UNAVAILABLE`] with a time after which to try again.
pub(super) fn busy(detail: &str, request: &str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail, request);
    response.headers_mut().insert(header::RETRY_AFTER, super::limits::RETRY_AFTER.into());
    response
}

/// [`StatusCode::UNAUTHORIZED`], with what would be accepted (RFC 6750, 3).
pub(super) fn unauthorized(request: &str) -> Response<Full<Bytes>> {
    let detail = "An access token is needed: Authorization: Bearer TOKEN.";
    let mut response = problem(StatusCode::UNAUTHORIZED, detail, request);
    let challenge = HeaderValue::from_static("Bearer realm=\"portico\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// [`StatusCode::METHOD_NOT_ALLOWED`] where there is only something to read.
pub(super) fn read_only(request: &str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "It can only be read.", request);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A short text.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    fixed(status, "text/plain; charset=utf-8", text)
}

/// A document, made for this answer.
pub(super) fn fixed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
