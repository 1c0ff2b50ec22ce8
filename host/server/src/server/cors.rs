//! Requests of browsers for pages of other origins (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! Invariants: only pages of configured origins can read answers, and they can read those of the host too; no guest decides
//! about this; no answer allows credentials, because a token travels in `Authorization` and nothing else identifies a client.
//!
//! The CORS layer of tower-http does not fit: it answers each OPTIONS request itself, and OPTIONS belongs to the upload
//! protocols. It also needs a service of tower around it.

use super::origin;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use std::str::FromStr;

/// The methods that pages may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The request headers that pages may set: those of the upload protocols, of conditions and ranges, and of common clients.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Cache-Control, Content-Digest, Content-Disposition, Content-Type, If-Match, If-Modified-Since, \
     If-None-Match, If-Range, If-Unmodified-Since, Incremental, Origin, Range, Repr-Digest, Tus-Resumable, Upload-Checksum, \
     Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Incomplete, Upload-Length, \
     Upload-Metadata, Upload-Offset, Want-Content-Digest, Want-Repr-Digest, X-HTTP-Method-Override, X-Request-ID, \
     X-Requested-With",
);

/// The response headers that pages may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept-Patch, Accept-Ranges, Allow, Content-Digest, Content-Disposition, Content-Length, Content-Location, \
     Content-Range, ETag, Last-Modified, Location, Repr-Digest, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, \
     Tus-Version, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Expires, \
     Upload-Incomplete, Upload-Length, Upload-Limit, Upload-Metadata, Upload-Offset, Want-Content-Digest, \
     Want-Repr-Digest, WWW-Authenticate, X-Request-Id",
);

/// How long a browser may reuse the answer to a preflight, in seconds. Browsers have lower limits of their own.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Prefix of the headers that only the host may set.
const OWN_PREFIX: &str = "access-control-";

/// The origins whose pages may use the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None but the server's own.
    #[default]
    Own,
    /// Those in the list, each as a browser sends it.
    Listed(Vec<HeaderValue>),
    /// All.
    All,
}

impl FromStr for CorsOrigins {
    type Err = String;

    /// Reads a list that is separated by commas, or `*`. An empty text is [`CorsOrigins::Own`].
    fn from_str(text: &str) -> Result<CorsOrigins, String> {
        let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        match &*items {
            [] => Ok(CorsOrigins::Own),
            ["*"] => Ok(CorsOrigins::All),
            items if items.contains(&"*") => Err("`*` stands for all origins, so it must stand alone".to_owned()),
            items => items.iter().map(|item| listed(item)).collect::<Result<_, _>>().map(CorsOrigins::Listed),
        }
    }
}

fn listed(item: &str) -> Result<HeaderValue, String> {
    let origin = origin::normalized(item).and_then(|origin| HeaderValue::try_from(origin).ok());
    origin.ok_or_else(|| {
        format!(
            "`{item}` is not an origin: expected scheme://host or scheme://host:port, without a path or a slash behind"
        )
    })
}

impl CorsOrigins {
    /// Returns the host's answer, if a request is a preflight of an allowed page. Browsers send no token with a preflight.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        let headers = request.headers();
        let asks = *request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        self.allowed(headers).filter(|_| asks)?;
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// Whether a request comes from a page of a site that may not use the server. Without tokens nothing else would keep such
    /// a page from storing files: browsers ask for no permission before they send a form or a plain POST. They say where
    /// a request comes from, though (W3C Fetch Metadata, `Sec-Fetch-Site`).
    pub(super) fn is_foreign<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        !reads && matches!(site, Some(b"cross-site" | b"same-site")) && self.allowed(headers).is_none()
    }

    /// Returns the headers that every response to a request gets. Call [`ForPages::add_to`] on the response.
    pub(super) fn for_pages(&self, request: &HeaderMap) -> ForPages {
        ForPages { allowed: self.allowed(request), varies: matches!(self, CorsOrigins::Listed(_)) }
    }

    /// Returns the `Access-Control-Allow-Origin` of the response to a request.
    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        match self {
            CorsOrigins::Own => None,
            CorsOrigins::All => Some(HeaderValue::from_static("*")),
            CorsOrigins::Listed(origins) => {
                let mut given = request.get_all(ORIGIN).iter();
                let (origin, None) = (given.next()?, given.next()) else { return None };
                origins.contains(origin).then(|| origin.clone())
            }
        }
    }
}

/// The CORS headers of a response.
pub(super) struct ForPages {
    allowed: Option<HeaderValue>,
    /// Whether another origin would get another response.
    varies: bool,
}

impl ForPages {
    /// Adds the headers to a response.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(origin) = self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
        if self.varies {
            // Caches must not give a page the response to another one, or to none.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// Removes the CORS headers that a guest has set.
pub(super) fn remove(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_origins_is_read_or_its_defect_named() {
        let read = |text: &str| text.parse::<CorsOrigins>();
        assert_eq!(read(""), Ok(CorsOrigins::Own));
        assert_eq!(read(" , "), Ok(CorsOrigins::Own));
        assert_eq!(read("*"), Ok(CorsOrigins::All));
        let two = ["https://a.example", "http://b.example:81"].map(HeaderValue::from_static).to_vec();
        assert_eq!(read("https://A.example:443, http://b.example:81"), Ok(CorsOrigins::Listed(two)));
        for (text, part) in [
            ("https://a.example,https://b.example/", "`https://b.example/`"),
            ("https://a.example,*", "`*` stands"),
            ("null", "`null`"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn a_request_with_two_origins_is_from_none() {
        let origins: CorsOrigins = "https://a.example,https://b.example".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert!(origins.allowed(&headers).is_some());
        headers.append(ORIGIN, HeaderValue::from_static("https://b.example"));
        assert!(origins.allowed(&headers).is_none());
    }
}
