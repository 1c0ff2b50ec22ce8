//! The host's decisions about a request, before a guest sees it.

use super::access::Access;
use super::base_url::BaseUrl;
use super::body::{RequestBody, ResponseBody};
use super::exchange::Permits;
use super::flow::Flow;
use super::limits::{HEAD_BYTES, REQUEST_ID_MAX, Settings};
use super::metrics::{self, REQUEST};
use super::peer::Peer;
use super::portals::Portal;
use super::problem::{busy, fixed, problem, read_only, text, unauthorized};
use super::readiness::Verdict;
use super::state::ServerState;
use super::turn::Turn;
use super::{cors, exchange, streams};
use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::net::Ipv6Addr;
use std::sync::Arc;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that gives a guest the URL under which its client reaches the server. Absent if no such URL is known.
const BASE_URL: HeaderName = HeaderName::from_static("x-portico-base-url");

/// The header that gives a guest the path prefix of its portal, which its requests lack. Absent at the root.
const PREFIX: HeaderName = HeaderName::from_static("x-portico-prefix");

/// Prefix of headers that only the host may set for a guest.
const OWN_PREFIX: &str = "x-portico-";

/// Answers a request.
pub(super) async fn handle(
    state: Arc<ServerState>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let trusted = state.settings.trusted_proxies.contains(&peer.addr.ip());
    let id = request_id(trusted.then(|| request.headers()));
    let for_pages = state.settings.cors_origins.for_pages(request.headers());
    let version = request.version();
    let http1 = version < Version::HTTP_2;
    let turn = (!http1).then(|| Turn::new(&peer.turns));
    let flow = Arc::new(Flow::new(state.metrics.clone(), peer.wire.clone(), version, turn));
    streams::belongs_to(&flow);
    let access = Access::new(id.clone(), &request, flow.clone(), peer.begin());
    let body = |body| RequestBody::new(body, !http1, flow.clone(), &state.settings);
    let request = request.map(body);
    if lacks_length(&request) {
        flow.set_read(false);
    }
    let host = authority(&request);
    let portal = state.portals.find(host.as_ref().map(Authority::host), request.uri().path());
    let mut response = match host_answer(&state, &request, host, portal, &id).await {
        Some(answer) => {
            drop(request);
            ResponseBody::host(answer, access)
        }
        None => match permits(&state, portal) {
            Some(permits) => {
                let portal = state.portals.at(permits.portal);
                let request = for_guest(request, &id, &state.settings, trusted, portal);
                let mut response = exchange::run(&state, id.clone(), request, flow.clone(), permits, access).await;
                cors::remove(response.headers_mut());
                response
            }
            None => {
                state.metrics.refused(REQUEST);
                ResponseBody::host(busy("Too many requests are running.", &id), access)
            }
        },
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    for_pages.add_to(response.headers_mut());
    // From now on hyper may write the response at any time.
    flow.interim.close();
    // The client may still be sending a body that will not be read.
    if http1 && !flow.is_read() {
        if version == Version::HTTP_10 {
            // hyper would announce a persistent connection in any other version.
            *response.version_mut() = version;
        }
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Returns the right to run a guest of a portal; `None` if too many run.
fn permits(state: &ServerState, portal: Option<usize>) -> Option<Permits> {
    let portal = portal?;
    let of_server = Arc::clone(&state.requests).try_acquire_owned().ok()?;
    let of_portal = Arc::clone(&state.portals.at(portal).guests).try_acquire_owned().ok()?;
    Some(Permits { portal, of_server, of_portal })
}

/// Returns the host's own answer, if the request needs no guest. Always returns one without a portal.
async fn host_answer(
    state: &ServerState,
    request: &Request<RequestBody>,
    host: Option<Authority>,
    portal: Option<usize>,
    id: &str,
) -> Option<Response<Full<Bytes>>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/health" | "/ready" if !reads => return Some(read_only(id)),
        "/health" => return Some(text(StatusCode::OK, "alive\n")),
        "/ready" => return Some(ready(state, id).await),
        _ => {}
    }
    let portal = portal.map(|place| state.portals.at(place));
    let Some(authority) = host else {
        return Some(problem(StatusCode::BAD_REQUEST, "The request must name exactly one host.", id));
    };
    let tokens = &state.settings.tokens;
    if tokens.is_none() && !is_loopback_name(authority.host()) && !state.portals.has_host(authority.host()) {
        let detail = "This server answers only to localhost.";
        return Some(problem(StatusCode::MISDIRECTED_REQUEST, detail, id));
    }
    if let Some(answer) = state.settings.cors_origins.preflight(request) {
        return Some(answer);
    }
    if tokens.is_none() && state.settings.cors_origins.is_foreign(request) {
        let detail = "Pages of other sites may not use this server.";
        return Some(problem(StatusCode::FORBIDDEN, detail, id));
    }
    let path = request.uri().path();
    let is_public = reads && portal.is_some_and(|portal| portal.has_public_page && is_page(portal.inner(path)));
    if !is_public && tokens.as_ref().is_some_and(|tokens| !tokens.admit(request.headers())) {
        return Some(unauthorized(id));
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEAD_BYTES {
        return Some(problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.", id));
    }
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > HEAD_BYTES) {
        return Some(problem(StatusCode::URI_TOO_LONG, "The target is too long.", id));
    }
    if has_other_coding(request.headers()) {
        let detail = "The only supported transfer coding is chunked.";
        return Some(problem(StatusCode::NOT_IMPLEMENTED, detail, id));
    }
    if lacks_length(request) {
        let detail = "Over HTTP/1.0, content needs a Content-Length.";
        return Some(problem(StatusCode::LENGTH_REQUIRED, detail, id));
    }
    match (path, portal) {
        ("/metrics", _) if !reads => Some(read_only(id)),
        ("/metrics", _) => Some(fixed(StatusCode::OK, metrics::MEDIA_TYPE, state.metrics())),
        (_, None) => Some(problem(StatusCode::NOT_FOUND, "No portal answers under this address.", id)),
        (path, Some(portal)) if portal.is_bare_prefix(path) => Some(with_slash(request.uri())),
        _ => None,
    }
}

/// Redirects from the prefix of a portal to the same with a slash, below which relative links are right. The location is
/// relative, so that it is right behind a proxy that adds a prefix of its own.
fn with_slash(uri: &Uri) -> Response<Full<Bytes>> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let words = "The portal begins behind the slash.\n";
    let mut response = text(StatusCode::PERMANENT_REDIRECT, words);
    if let Ok(location) = HeaderValue::from_str(&format!("{last}/{query}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Reports whether a path belongs to the page.
fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

async fn ready(state: &ServerState, id: &str) -> Response<Full<Bytes>> {
    if state.stopping.is_cancelled() {
        return busy("The server is stopping.", id);
    }
    match state.readiness.ask().await {
        Verdict::Ready => text(StatusCode::OK, "ready\n"),
        Verdict::NotReady => busy("The store is not ready.", id),
        Verdict::Silent => busy("The store does not answer.", id),
    }
}

/// Prepares a request for a guest: removes the portal's prefix and headers that are the host's, and adds the request id, the
/// prefix and the base URL with the prefix.
fn for_guest(
    mut request: Request<RequestBody>,
    id: &str,
    settings: &Settings,
    trusted: bool,
    portal: &Portal,
) -> Request<RequestBody> {
    let of_proxy = || BaseUrl::of_proxy(request.headers(), &authority(&request)?);
    let base = settings.base_url.clone().or_else(|| trusted.then(of_proxy).flatten());
    let headers = request.headers_mut();
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    headers.remove(header::AUTHORIZATION);
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let prefix = portal.prefix();
    let base = base.and_then(|base| match &prefix {
        Some(prefix) => base.below(prefix),
        None => Some(base.value().clone()),
    });
    if let Some(base) = base {
        headers.insert(BASE_URL, base);
    }
    if let Some(prefix) = prefix {
        headers.insert(PREFIX, prefix);
    }
    portal.strip(request.uri_mut());
    request
}

/// Returns the request id: a trusted proxy's if it is short and plain, else 128 random bits in hexadecimal.
fn request_id(trusted: Option<&HeaderMap>) -> Arc<str> {
    let plain = |id: &&str| {
        (1..=REQUEST_ID_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = trusted.and_then(|headers| headers.get(REQUEST_ID)).and_then(|id| id.to_str().ok());
    match given.filter(plain) {
        Some(id) => id.into(),
        None => {
            let mut random = [0; 16];
            // Without randomness the id is merely not unique; no secret depends on it.
            let _ = getrandom::fill(&mut random);
            hex::encode(random).into()
        }
    }
}

/// Reports whether a body has another transfer coding than a single `chunked`. The connection decodes only that, and a guest
/// would take coded bytes for the content.
fn has_other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|first| !chunked(first)) || codings.next().is_some()
}

/// Reports whether a request has content of unknown length. HTTP/1.0 has no way to announce a length but `Content-Length`
/// (RFC 1945, 7.2). Under HTTP/1.1 rules the content would be empty, and an empty file would be stored. A POST without
/// `Content-Type` passes, because nginx forwards one without content like that.
fn lacks_length<B>(request: &Request<B>) -> bool {
    let has_content = match *request.method() {
        Method::PUT | Method::PATCH => true,
        Method::POST => request.headers().contains_key(header::CONTENT_TYPE),
        _ => false,
    };
    has_content && request.version() <= Version::HTTP_10 && !request.headers().contains_key(header::CONTENT_LENGTH)
}

/// Returns the target's authority, else that of the `Host` header (RFC 9112, 3.2 and 3.3). Returns `None` for no host, for
/// several, and for one with a user.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, None) = (hosts.next(), hosts.next()) else { return None };
    let authority = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => Authority::try_from(host?.as_bytes()).ok()?,
    };
    (!authority.as_str().contains('@')).then_some(authority)
}

/// Reports whether a name means this machine. A page of another site can make a browser send requests here under a foreign
/// name that resolves to a loopback address; such a request carries the foreign name.
fn is_loopback_name(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for (name, loopback) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("127.0.0.1:80", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("10.0.0.1", false),
            ("[::2]:80", false),
        ] {
            let request = Request::builder().header("host", name).body(()).unwrap();
            assert_eq!(is_loopback_name(authority(&request).unwrap().host()), loopback, "{name}");
        }
    }

    #[test]
    fn a_request_names_one_host_plainly() {
        let request = |target: &str, hosts: &[&str]| {
            let request = Request::builder().uri(target);
            hosts.iter().fold(request, |request, host| request.header("host", *host)).body(()).unwrap()
        };
        for (target, hosts) in [
            ("/", &[][..]),
            ("/", &[""]),
            ("/", &["a b"]),
            ("/", &["[::1"]),
            ("/", &["localhost", "localhost"]),
            ("/", &["localhost:80@example.com"]),
            ("http://localhost@example.com/", &["localhost"]),
            ("http://localhost/", &["localhost", "example.com"]),
        ] {
            assert_eq!(authority(&request(target, hosts)), None, "{target} {hosts:?}");
        }
        // The target takes precedence.
        let named = authority(&request("http://example.com:80/", &["localhost"])).unwrap();
        assert_eq!(named.host(), "example.com");
    }

    #[test]
    fn one_chunked_is_the_only_coding() {
        for (codings, other) in [
            (&[][..], false),
            (&["chunked"], false),
            (&["Chunked"], false),
            (&["gzip, chunked"], true),
            (&["gzip", "chunked"], true),
            (&["chunked", "chunked"], true),
            (&["chunked, chunked"], true),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(coding));
            }
            assert_eq!(has_other_coding(&headers), other, "{codings:?}");
        }
    }

    #[test]
    fn an_id_is_taken_over_only_if_it_is_plain() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
            request_id(Some(&headers))
        };
        assert_eq!(&*with("abc-1.2_3"), "abc-1.2_3");
        for refused in ["", "a b", "a\tb", "x\"y", &"a".repeat(REQUEST_ID_MAX + 1)] {
            assert_eq!(with(refused).len(), 32, "{refused:?}");
        }
        assert_ne!(request_id(None), request_id(None));
    }
}
