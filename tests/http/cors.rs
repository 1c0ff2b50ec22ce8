//! Pages of other origins: those that are configured read every answer, and no other page reads any.

use crate::fixture::{Pattern, Response, Server, Stored};
use crate::portals::hostile;
use crate::tokens::{ONE, bearer, guarded};

const PAGE: &str = "https://app.example.org";
const OTHER_PAGE: &str = "http://localhost:3000";
const STRANGER: &str = "https://evil.example";

/// Every header of CORS that a response can have.
const ALL: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
];

#[track_caller]
fn expect_nothing(response: &Response, vary: Option<&str>) {
    ALL.iter().for_each(|name| assert_eq!(response.head.field(name), None, "{name} of {:?}", response.head));
    assert_eq!(response.head.field("vary"), vary, "{:?}", response.head);
}

/// Fails unless a page of `origin` may read a response.
#[track_caller]
fn expect_readable(response: &Response, origin: &str) {
    let vary = (origin != "*").then_some("Origin");
    let fields = [("access-control-allow-origin", Some(origin)), ("vary", vary)];
    response.head.expect(response.head.status, &fields);
    let exposed = response.head.field("access-control-expose-headers").expect("exposed headers");
    let exposed: Vec<&str> = exposed.split(", ").collect();
    for name in [
        "Upload-Offset",
        "Location",
        "Upload-Length",
        "Tus-Version",
        "Tus-Resumable",
        "Tus-Max-Size",
        "Tus-Extension",
        "Tus-Checksum-Algorithm",
        "Upload-Metadata",
        "Upload-Defer-Length",
        "Upload-Concat",
        "Upload-Expires",
        "Upload-Incomplete",
        "Upload-Complete",
        "Upload-Draft-Interop-Version",
        "Upload-Limit",
        "Repr-Digest",
        "Content-Range",
        "Content-Disposition",
        "ETag",
        "Retry-After",
        "X-Request-Id",
    ] {
        assert!(exposed.contains(&name), "{name} in {exposed:?}");
    }
    assert_eq!(response.head.field("access-control-allow-credentials"), None);
}

fn preflight(server: &Server, target: &str, origin: &str, method: &str) -> Response {
    let fields = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "authorization,tus-resumable"),
    ];
    server.ask(&format!("OPTIONS {target}"), &fields)
}

#[track_caller]
fn expect_preflight(response: &Response, origin: &str) {
    expect_readable(response, origin);
    response.head.expect(204, &[("access-control-max-age", Some("86400"))]);
    let list = |name: &str| -> Vec<String> {
        response.head.field(name).expect(name).split(", ").map(str::to_ascii_lowercase).collect()
    };
    let methods = list("access-control-allow-methods");
    for method in ["get", "head", "post", "put", "patch", "delete", "options"] {
        assert!(methods.iter().any(|allowed| allowed == method), "{method} in {methods:?}");
    }
    let headers = list("access-control-allow-headers");
    for name in [
        "authorization",
        "origin",
        "content-disposition",
        "content-digest",
        "repr-digest",
        "want-repr-digest",
        "want-content-digest",
        "x-requested-with",
        "x-request-id",
        "x-http-method-override",
        "content-type",
        "upload-length",
        "upload-offset",
        "tus-resumable",
        "upload-metadata",
        "upload-defer-length",
        "upload-concat",
        "upload-checksum",
        "upload-incomplete",
        "upload-complete",
        "upload-draft-interop-version",
        "range",
        "if-range",
        "if-match",
        "if-none-match",
    ] {
        assert!(headers.iter().any(|allowed| allowed == name), "{name} in {headers:?}");
    }
}

#[test]
fn by_default_no_page_reads_anything() {
    let server = Server::start(&[]);
    expect_nothing(&server.ask("GET /files", &[("Origin", STRANGER)]), None);
    expect_nothing(&server.ask("GET /files/x", &[("Origin", STRANGER)]), None);
    // A preflight is an ordinary request, which the portal answers.
    let response = preflight(&server, "/files/x", STRANGER, "PUT");
    response.head.expect(204, &[("allow", Some("GET, HEAD, PUT, DELETE, OPTIONS"))]);
    expect_nothing(&response, None);
    server.finish(&[]);
}

#[test]
fn a_configured_page_reads_every_answer() {
    let server = Server::start(&["--cors-origins", "https://APP.example.org:443, http://localhost:3000"]);
    for page in [PAGE, OTHER_PAGE] {
        let fields = [("Origin", page)];
        expect_preflight(&preflight(&server, "/files/x", page, "PUT"), page);
        expect_preflight(&preflight(&server, "/no/such/path", page, "GET"), page);
        for (line, status) in [
            ("GET /files", 200),
            ("GET /files/x", 404),
            ("PATCH /files/x", 405),
            ("GET /health", 200),
            ("POST /health", 405),
            ("GET /metrics", 200),
            ("HEAD /ready", 200),
        ] {
            let response = server.ask(line, &fields);
            assert_eq!(response.head.status, status, "{line}");
            expect_readable(&response, page);
        }
        // An OPTIONS request without the method of a later one is none of CORS.
        let options = server.ask("OPTIONS /files/x", &fields);
        options.head.expect(204, &[("allow", Some("GET, HEAD, PUT, DELETE, OPTIONS"))]);
        expect_readable(&options, page);
    }
    let content = Pattern::new(1, 5_000);
    let mut connection = server.connect();
    connection.send_put("/files/of-a-page", &[("Origin", PAGE)], &content);
    let response = connection.response();
    expect_readable(&response, PAGE);
    let file = Stored::new(&response, &content);
    let part = server.ask(&format!("GET {}", file.path()), &[("Origin", PAGE), ("Range", "bytes=0-9")]);
    part.head.expect(206, &[("content-range", Some("bytes 0-9/5000"))]);
    expect_readable(&part, PAGE);
    server.finish(&[&file]);
}

#[test]
fn a_stranger_gets_an_ordinary_answer_that_its_browser_keeps() {
    let server = Server::start(&["--cors-origins", PAGE]);
    for origin in [
        STRANGER,
        "null",
        "",
        "https://app.example.org.evil.example",
        "https://evil.example/https://app.example.org",
        "https://app.example.org:8443",
        "http://app.example.org",
        "https://sub.app.example.org",
        "HTTPS://APP.EXAMPLE.ORG",
        "https://app.example.org/",
        "https://app.example.org, https://app.example.org",
        "*",
    ] {
        let fields = [("Origin", origin)];
        let response = server.ask("GET /files", &fields);
        assert_eq!(response.head.status, 200, "{origin}");
        expect_nothing(&response, Some("Origin"));
        let response = preflight(&server, "/files/x", origin, "PUT");
        response.head.expect(204, &[("allow", Some("GET, HEAD, PUT, DELETE, OPTIONS"))]);
        expect_nothing(&response, Some("Origin"));
    }
    // The answer depends on the origin, so a cache must know even without one.
    expect_nothing(&server.ask("GET /files", &[]), Some("Origin"));
    let twice = server.ask("GET /files", &[("Origin", PAGE), ("Origin", STRANGER)]);
    expect_nothing(&twice, Some("Origin"));

    // A foreign name of this machine is refused as ever, whatever the page.
    for page in [PAGE, STRANGER] {
        let mut connection = server.connect();
        let head = format!("Host: evil.example\r\nOrigin: {page}\r\nAccess-Control-Request-Method: PUT\r\n");
        connection.send(format!("OPTIONS /files/x HTTP/1.1\r\n{head}\r\n"));
        let response = connection.response();
        response.expect_host_problem(421);
        assert_eq!(response.head.field("access-control-allow-methods"), None);
    }
    server.finish(&[]);
}

#[test]
fn a_preflight_needs_no_token_and_a_request_does() {
    let server = guarded(&["--cors-origins", PAGE]);
    expect_preflight(&preflight(&server, "/files/x", PAGE, "PUT"), PAGE);
    let refused = server.ask("GET /files", &[("Origin", PAGE)]);
    refused.expect_host_problem(401);
    expect_readable(&refused, PAGE);
    let admitted = server.ask("GET /files", &[("Origin", PAGE), ("Authorization", &bearer(ONE))]);
    assert_eq!(admitted.head.status, 200);
    expect_readable(&admitted, PAGE);
    for (line, more) in [
        ("OPTIONS /files", &[][..]),
        ("OPTIONS /files", &[("Access-Control-Request-Method", "PUT")]),
        ("OPTIONS /files", &[("Origin", PAGE)]),
        ("OPTIONS /files", &[("Origin", STRANGER), ("Access-Control-Request-Method", "PUT")]),
        ("GET /files", &[("Origin", PAGE), ("Access-Control-Request-Method", "PUT")]),
    ] {
        server.ask(line, more).expect_host_problem(401);
    }
    server.finish(&[]);
}

#[test]
fn all_origins_are_one_star_and_no_credentials() {
    let server = guarded(&["--cors-origins", "*"]);
    for page in [PAGE, STRANGER, "null"] {
        expect_preflight(&preflight(&server, "/files/x", page, "PATCH"), "*");
        let refused = server.ask("GET /files", &[("Origin", page)]);
        refused.expect_host_problem(401);
        expect_readable(&refused, "*");
    }
    // The same for all, so a cache may keep one for all.
    expect_readable(&server.ask("GET /files", &[("Authorization", &bearer(ONE))]), "*");
    server.finish(&[]);
}

#[test]
fn answers_in_the_place_of_a_guest_are_readable_too() {
    let server = hostile(&["--cors-origins", PAGE]);
    let fields = [("Origin", PAGE)];
    for (path, status) in [("/trap", 500), ("/error", 502)] {
        let response = server.ask(&format!("GET {path}"), &fields);
        response.expect_host_problem(status);
        expect_readable(&response, PAGE);
    }
    let long = "x".repeat(66_000);
    let response = server.ask("GET /ok", &[("Origin", PAGE), ("X-Long", &*long)]);
    response.expect_host_problem(431);
    expect_readable(&response, PAGE);
    server.finish(&[]);

    let server = Server::start(&["--cors-origins", PAGE, "--max-requests", "1"]);
    let mut running = server.connect();
    running.request("PUT /files/running", &[("Content-Length", "5"), ("Expect", "100-continue")]);
    assert_eq!(running.head().status, 100);
    let busy = server.ask("GET /files", &fields);
    busy.expect_host_problem(503);
    busy.head.expect(503, &[("retry-after", Some("1"))]);
    expect_readable(&busy, PAGE);
    drop(running);
    server.finish(&[]);
}

#[test]
fn a_guest_has_no_say_in_it() {
    let server = hostile(&[]);
    expect_nothing(&server.ask("GET /cors", &[("Origin", STRANGER)]), Some("Accept"));
    server.finish(&[]);
    let server = hostile(&["--cors-origins", "*"]);
    let response = server.ask("GET /cors", &[("Origin", STRANGER)]);
    let fields = [
        ("access-control-allow-origin", Some("*")),
        ("access-control-allow-credentials", None),
        ("access-control-allow-private-network", None),
        ("vary", Some("Accept")),
    ];
    response.head.expect(200, &fields);
    server.finish(&[]);
}
