//! The URL under which clients reach the server, which is not the server's own address behind a proxy.
//!
//! Invariants: the URL comes from the configuration or from a trusted proxy, never from a client; a doubtful value counts as
//! none, because a relative link is right and a wrong absolute one leads elsewhere.

use super::origin;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, header};
use std::str::FromStr;

/// Longest path of a base URL, in bytes.
const BASE_PATH_MAX: usize = 1 << 10;

/// A URL with scheme and host, perhaps a port and a path, and no slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(HeaderValue);

impl FromStr for BaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<BaseUrl, &'static str> {
        let after_scheme = text.find("://").map_or(0, |at| at + "://".len());
        let path = text[after_scheme..].find('/').map_or(text.len(), |at| after_scheme + at);
        let (origin, path) = text.split_at(path);
        let expected = "expected http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH], without a user or a query";
        BaseUrl::new(origin, path).ok_or(expected)
    }
}

impl BaseUrl {
    fn new(origin: &str, path: &str) -> Option<BaseUrl> {
        let origin = origin::normalized(origin)?;
        if !origin.starts_with("http://") && !origin.starts_with("https://") {
            return None;
        }
        let path = plain_path(path)?;
        HeaderValue::try_from(origin + path).ok().map(BaseUrl)
    }

    /// Returns the URL as a header value.
    pub(super) fn value(&self) -> &HeaderValue {
        &self.0
    }

    /// Returns the URL with a path behind it, which begins with a slash.
    pub(super) fn below(&self, path: &HeaderValue) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&[self.0.as_bytes(), path.as_bytes()].concat()).ok()
    }

    /// Reads what a trusted proxy says in `Forwarded` (RFC 7239) or in `X-Forwarded-Proto`, `-Host` and `-Prefix`. Without a
    /// host of the proxy it is `authority`, that of the request. Returns `None` if there is no scheme, or if any of the
    /// headers is malformed, has several values, or contradicts another: then a client may have sent it.
    pub(super) fn of_proxy(headers: &HeaderMap, authority: &Authority) -> Option<BaseUrl> {
        let forwarded = single(headers, header::FORWARDED.as_str()).ok()?;
        let forwarded = forwarded.map_or(Some(Forwarded::default()), Forwarded::read)?;
        let [proto, host, prefix] = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"]
            .map(|name| single(headers, name))
            .map(Result::ok);
        let scheme = agreed(forwarded.proto, proto?).ok()??;
        let host = agreed(forwarded.host, host?).ok()?.unwrap_or(authority.as_str());
        BaseUrl::new(&format!("{scheme}://{host}"), prefix?.unwrap_or_default())
    }
}

/// The header has several values, or one that is no text.
struct Doubtful;

/// Returns the only value of a header, if the header is present.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Doubtful> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().map_err(|_| Doubtful)?.trim_matches([' ', '\t']);
    if values.next().is_some() || value.is_empty() || value.contains(',') { Err(Doubtful) } else { Ok(Some(value)) }
}

/// Returns the value that two headers give, if they do not contradict each other.
fn agreed<'h>(one: Option<&'h str>, other: Option<&'h str>) -> Result<Option<&'h str>, Doubtful> {
    match (one, other) {
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => Err(Doubtful),
        (one, other) => Ok(one.or(other)),
    }
}

/// The parameters of a `Forwarded` header that has one element.
#[derive(Default)]
struct Forwarded<'h> {
    proto: Option<&'h str>,
    host: Option<&'h str>,
}

impl<'h> Forwarded<'h> {
    fn read(element: &'h str) -> Option<Forwarded<'h>> {
        let mut read = Forwarded::default();
        for pair in element.split(';') {
            let (name, value) = pair.split_once('=')?;
            let value = match value.trim().strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value.trim(),
            };
            if value.contains(['"', '\\']) {
                return None;
            }
            let place = match &*name.trim().to_ascii_lowercase() {
                "proto" => &mut read.proto,
                "host" => &mut read.host,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(read)
    }
}

/// Returns a path without the slash at its end. Returns `None` unless the path is empty, or consists of segments of plain
/// characters that lead nowhere else.
fn plain_path(path: &str) -> Option<&str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    if path.is_empty() {
        return Some(path);
    }
    (path.len() <= BASE_PATH_MAX && path.strip_prefix('/')?.split('/').all(segment)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_proxy(fields: &[(&str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let url = BaseUrl::of_proxy(&headers, &Authority::from_static("inner:8080"))?;
        Some(url.value().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_configured_url_is_read_or_refused() {
        for (text, url) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org/", "https://example.org"),
            ("HTTP://Example.org:80/Up/Loads/", "http://example.org/Up/Loads"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().value(), url, "{text}");
        }
        for text in [
            "",
            "example.org",
            "/prefix",
            "ftp://example.org",
            "https://",
            "https:///prefix",
            "https://user@example.org",
            "https://example.org?a",
            "https://example.org/a?b",
            "https://example.org/a#b",
            "https://example.org//a",
            "https://example.org/../a",
            "https://example.org/a b",
            "https://example.org/ä",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_says_where_it_is_reached() {
        for (fields, url) in [
            (&[("forwarded", "for=192.0.2.1;proto=https;host=example.org")][..], "https://example.org"),
            (&[("forwarded", "Host=\"example.org:8443\"; Proto=HTTPS")], "https://example.org:8443"),
            (&[("forwarded", "proto=https")], "https://inner:8080"),
            (&[("x-forwarded-proto", "https")], "https://inner:8080"),
            (&[("x-forwarded-proto", "https"), ("x-forwarded-host", "example.org")], "https://example.org"),
            (
                &[("x-forwarded-proto", "https"), ("x-forwarded-host", "example.org"), ("x-forwarded-prefix", "/up/")],
                "https://example.org/up",
            ),
            (&[("forwarded", "proto=https"), ("x-forwarded-host", "example.org")], "https://example.org"),
            (&[("forwarded", "proto=https;host=a.example"), ("x-forwarded-host", "A.example")], "https://a.example"),
        ] {
            assert_eq!(of_proxy(fields).as_deref(), Some(url), "{fields:?}");
        }
    }

    #[test]
    fn a_doubtful_value_is_none() {
        const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");
        for fields in [
            &[][..],
            // A scheme that nobody has named would be a guess.
            &[("x-forwarded-host", "example.org")],
            &[("forwarded", "host=example.org")],
            &[("x-forwarded-proto", "ftp")],
            &[("x-forwarded-proto", "")],
            &[("x-forwarded-proto", "https, http")],
            &[HTTPS, ("x-forwarded-proto", "https")],
            &[HTTPS, ("x-forwarded-host", "a.example, b.example")],
            &[HTTPS, ("x-forwarded-host", "a.example"), ("x-forwarded-host", "b.example")],
            &[HTTPS, ("x-forwarded-host", "user@example.org")],
            &[HTTPS, ("x-forwarded-host", "example.org/path")],
            &[HTTPS, ("x-forwarded-host", "example.org\tx")],
            &[HTTPS, ("x-forwarded-host", "\u{fc}.example")],
            &[HTTPS, ("x-forwarded-host", "example.org:x")],
            &[HTTPS, ("x-forwarded-prefix", "up")],
            &[HTTPS, ("x-forwarded-prefix", "//evil.example")],
            &[HTTPS, ("x-forwarded-prefix", "/../up")],
            &[HTTPS, ("x-forwarded-prefix", "/up?a")],
            &[HTTPS, ("forwarded", "proto=http")],
            &[HTTPS, ("x-forwarded-host", "a.example"), ("forwarded", "host=b.example")],
            &[HTTPS, ("forwarded", "for=a, for=b")],
            &[HTTPS, ("forwarded", "nothing")],
            &[("forwarded", "proto=https;proto=https")],
            &[("forwarded", "proto=https;host=\"example.org")],
            &[("forwarded", "proto=https;host=\"exa\\mple.org\"")],
        ] {
            assert_eq!(of_proxy(fields), None, "{fields:?}");
        }
    }
}
