//! The answers of the host itself.
//!
//! Invariant: problems have the form of the portal's, and a `type` that both use means the same.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// Returns `type` and `title` of the host's problem for a status.
fn kind(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("/problems/invalid-request", "Invalid request"),
        StatusCode::UNAUTHORIZED => ("/problems/unauthorized", "Access token required"),
        StatusCode::FORBIDDEN => ("/problems/foreign-page", "The page is of another site"),
        StatusCode::NOT_FOUND => ("/problems/not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ("/problems/method-not-allowed", "Method not allowed"),
        StatusCode::LENGTH_REQUIRED => ("/problems/length-required", "Content-Length required"),
        StatusCode::URI_TOO_LONG => ("/problems/target-too-long", "Target too long"),
        StatusCode::MISDIRECTED_REQUEST => ("/problems/misdirected", "The request names another host"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ("/problems/headers-too-large", "Headers too large"),
        StatusCode::NOT_IMPLEMENTED => ("/problems/unsupported-transfer", "Unsupported transfer coding"),
        StatusCode::BAD_GATEWAY => ("/problems/no-answer", "The portal gave no response"),
        StatusCode::SERVICE_UNAVAILABLE => ("/problems/unavailable", "Temporarily unavailable"),
        _ => ("/problems/internal", "Internal server error"),
    }
}

/// Creates an RFC 9457 problem, with the id of its request.
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

/// Creates a [`StatusCode::SERVICE_UNAVAILABLE`] problem with a `Retry-After`.
pub(super) fn busy(detail: &str, request: &str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail, request);
    response.headers_mut().insert(header::RETRY_AFTER, super::limits::RETRY_AFTER.into());
    response
}

/// Creates a [`StatusCode::UNAUTHORIZED`] problem with a challenge (RFC 6750, 3).
pub(super) fn unauthorized(request: &str) -> Response<Full<Bytes>> {
    let detail = "Send an access token: Authorization: Bearer TOKEN.";
    let mut response = problem(StatusCode::UNAUTHORIZED, detail, request);
    let challenge = HeaderValue::from_static("Bearer realm=\"portico\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Creates a [`StatusCode::METHOD_NOT_ALLOWED`] problem for a read-only resource.
pub(super) fn read_only(request: &str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "This resource is read-only.", request);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// Creates a plain-text answer.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    fixed(status, "text/plain; charset=utf-8", text)
}

/// Creates an answer that must not be cached.
pub(super) fn fixed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
