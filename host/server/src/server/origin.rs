//! Origins (RFC 6454): a scheme, a host and a port, in the form in which browsers send them.

use http::uri::Authority;
use std::net::Ipv6Addr;

/// Longest host name with its port, in bytes (RFC 1035, 2.3.4).
const AUTHORITY_MAX: usize = 255 + ":65535".len();

/// Returns an origin in the form of browsers: in lower case, without the default port of its scheme. Returns `None` for any
/// other text: a path, a user, a wildcard, a name that is not ASCII.
pub(super) fn normalized(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_of_scheme) {
        return None;
    }
    let (host, port) = host_and_port(authority)?;
    let scheme = scheme.to_ascii_lowercase();
    let port = match (&*scheme, port) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    Some(format!("{scheme}://{}{port}", host.to_ascii_lowercase()))
}

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    if text.len() > AUTHORITY_MAX || text.contains('@') {
        return None;
    }
    let length = text.parse::<Authority>().ok()?.host().len();
    let (host, rest) = text.split_at(length);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    let plain = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    plain.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn an_origin_has_the_form_of_browsers() {
        for (text, origin) in [
            ("https://example.org", "https://example.org"),
            ("HTTPS://Example.ORG", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:80", "http://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("https://xn--bcher-kva.example:8443", "https://xn--bcher-kva.example:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(normalized(text).as_deref(), Some(origin), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_no_origin() {
        for text in [
            "",
            "null",
            "*",
            "example.org",
            "//example.org",
            "https://",
            "https://example.org/",
            "https://example.org/path",
            "https://example.org?a",
            "https://example.org#a",
            "https://user@example.org",
            "https://user:word@example.org",
            "https://*.example.org",
            "https://bücher.example",
            "https://example.org:",
            "https://example.org:x",
            "https://example.org:65536",
            "https://example.org:+80",
            "https://example.org:80:80",
            "https://[::1",
            "https://[nothing]",
            "https://exa mple.org",
            "https://example.org\r\nx: y",
            "ht tp://example.org",
            "1http://example.org",
            &format!("https://{}", "a".repeat(300)),
        ] {
            assert_eq!(normalized(text), None, "{text}");
        }
    }
}
