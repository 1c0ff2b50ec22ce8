//! The URL under which clients reach the server: what a guest learns of it, and from whom.

use crate::fixture::Server;
use crate::portals::hostile;

const PROXY: [&str; 2] = ["--trusted-proxies", "127.0.0.1"];

/// Returns the base URL that a guest sees.
#[track_caller]
fn seen(server: &Server, fields: &[(&str, &str)]) -> Option<String> {
    let response = server.ask("GET /headers", fields);
    assert_eq!(response.head.status, 200, "{fields:?}");
    let text = String::from_utf8(response.body).expect("text");
    let mut values = text.lines().filter_map(|line| line.strip_prefix("x-portico-base-url: "));
    let value = values.next().map(str::to_owned);
    assert_eq!(values.next(), None, "{text}");
    value
}

#[test]
fn a_stranger_cannot_choose_it() {
    let server = hostile(&[]);
    for fields in [
        &[][..],
        &[("X-Portico-Base-Url", "https://evil.example")],
        &[("Forwarded", "proto=https;host=evil.example")],
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")],
    ] {
        assert_eq!(seen(&server, fields), None, "{fields:?}");
    }
    server.finish(&[]);
    // Neither can a client that is no proxy of this server.
    let server = hostile(&["--trusted-proxies", "192.0.2.1"]);
    let fields = [("Forwarded", "proto=https;host=evil.example"), ("X-Portico-Base-Url", "https://evil.example")];
    assert_eq!(seen(&server, &fields), None);
    server.finish(&[]);
}

#[test]
fn a_configured_one_is_the_only_one() {
    let server = hostile(&[&PROXY[..], &["--base-url", "https://files.example.org/up/"]].concat());
    for fields in [
        &[][..],
        &[("X-Portico-Base-Url", "https://evil.example")],
        &[("Forwarded", "proto=http;host=other.example")],
        &[("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "other.example")],
    ] {
        assert_eq!(seen(&server, fields).as_deref(), Some("https://files.example.org/up"), "{fields:?}");
    }
    server.finish(&[]);
}

#[test]
fn a_trusted_proxy_says_it() {
    let server = hostile(&PROXY);
    let inner = format!("https://{}", server.addr);
    for (fields, url) in [
        (&[("Forwarded", "for=192.0.2.1;proto=https;host=example.org")][..], "https://example.org"),
        (&[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example.org:8443")], "https://example.org:8443"),
        (
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example.org"), ("X-Forwarded-Prefix", "/up")],
            "https://example.org/up",
        ),
        // The proxy passes the name on that it was asked by.
        (&[("X-Forwarded-Proto", "https")], &*inner),
    ] {
        assert_eq!(seen(&server, fields).as_deref(), Some(url), "{fields:?}");
    }
    server.finish(&[]);
}

#[test]
fn what_a_client_may_have_sent_through_a_proxy_is_ignored() {
    const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");
    let server = hostile(&PROXY);
    for fields in [
        &[][..],
        &[("X-Forwarded-Host", "example.org")],
        &[("X-Portico-Base-Url", "https://evil.example")],
        // Each proxy of a row appends its own value, and the first is then the client's.
        &[HTTPS, ("X-Forwarded-Host", "evil.example, example.org")],
        &[HTTPS, ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Host", "example.org")],
        &[("Forwarded", "proto=https;host=evil.example, proto=https;host=example.org")],
        &[("Forwarded", "proto=https;host=evil.example"), ("Forwarded", "proto=https;host=example.org")],
        // The proxy sets one header, and lets the other through.
        &[HTTPS, ("X-Forwarded-Host", "example.org"), ("Forwarded", "proto=https;host=evil.example")],
        &[HTTPS, ("X-Forwarded-Host", "example.org@evil.example")],
        &[HTTPS, ("X-Forwarded-Host", "evil.example/example.org")],
        &[HTTPS, ("X-Forwarded-Host", "evil\texample")],
        &[HTTPS, ("X-Forwarded-Host", "évil.example")],
        &[HTTPS, ("X-Forwarded-Prefix", "//evil.example")],
        &[HTTPS, ("X-Forwarded-Prefix", "/../evil")],
        &[HTTPS, ("X-Forwarded-Prefix", "/evil\"><script>")],
        &[("X-Forwarded-Proto", "javascript")],
        &[("X-Forwarded-Proto", "https://evil.example/")],
    ] {
        assert_eq!(seen(&server, fields), None, "{fields:?}");
    }
    // A control character ends the request before anybody reads it.
    let mut connection = server.connect();
    connection.send(b"GET /headers HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil\x01.example\r\n\r\n");
    assert_eq!(connection.head().status, 400);
    server.finish(&[]);
}
