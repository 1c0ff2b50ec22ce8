//! Answers that the host gives itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// An RFC 9457 problem, with the id of its request.
pub(super) fn problem(status: StatusCode, detail: &str, request: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
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

/// A short text.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    fixed(status, "text/plain; charset=utf-8", text)
}

fn fixed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
