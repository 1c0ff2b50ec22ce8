//! The page for browsers: public, safe to open, and the form alone where `make page` has not run.

use crate::fixture::Server;
use crate::folder::Folder;
use portico_test_artifacts::HOSTILE;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

const TOKEN: &str = "first-token-0123456789abcdefghij";

/// A server with tokens, and flags more.
fn guarded(flags: &[&str]) -> Server {
    let folder = Arc::new(Folder::new());
    let path = folder.beside("tokens");
    fs::write(&path, TOKEN).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a file of ours");
    Server::start_on(&folder, &[&["--token-file", &*path.display().to_string()], flags].concat())
}

/// The files that the index refers to.
fn references(index: &str) -> Vec<String> {
    index.split("=\"page/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_page_needs_no_token_and_nothing_else_is_public() {
    let server = guarded(&[]);
    let response = server.ask("GET /", &[]);
    response
        .head
        .expect(200, &[("content-type", Some("text/html; charset=utf-8")), ("cache-control", Some("no-cache"))]);
    let index = String::from_utf8(response.body).expect("text");
    assert!(index.contains("<form method=\"post\" enctype=\"multipart/form-data\" action=\"files\">"), "{index}");
    for name in references(&index) {
        let head = server.ask(&format!("GET /page/{name}"), &[]).head;
        head.expect(200, &[("cache-control", Some("public, max-age=31536000, immutable"))]);
    }
    for line in ["GET /files", "POST /", "PUT /page/x", "DELETE /page/x", "GET /pages", "GET //", "OPTIONS /"] {
        assert_eq!(server.ask(line, &[]).head.status, 401, "{line}");
    }
    for line in ["GET /page/", "GET /page/index.html", "GET /page/x", "GET /page/../files", "GET /page/%2e%2e"] {
        assert_eq!(server.ask(line, &[]).head.status, 404, "{line}");
    }
    server.finish(&[]);
}

#[test]
fn the_page_of_another_portal_is_not_public() {
    let folder = Folder::new();
    let portal = folder.beside("portal.wasm");
    fs::write(&portal, HOSTILE).expect("a file");
    let server = guarded(&["--portal", &*portal.display().to_string()]);
    for line in ["GET /", "GET /page/x"] {
        assert_eq!(server.ask(line, &[]).head.status, 401, "{line}");
    }
}

#[test]
fn the_page_is_sent_with_a_strict_policy_and_compressed_on_request() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let plain = connection.ask("GET /", &[]);
    let names = references(&String::from_utf8(plain.body.clone()).expect("text"));
    for path in ["/".to_owned()].into_iter().chain(names.iter().map(|name| format!("/page/{name}"))) {
        let plain = connection.ask(&format!("GET {path}"), &[("Accept-Encoding", "br, gzip;q=0")]);
        plain.head.expect(
            200,
            &[
                ("content-encoding", None),
                ("referrer-policy", Some("no-referrer")),
                ("x-content-type-options", Some("nosniff")),
                ("cross-origin-opener-policy", Some("same-origin")),
                ("vary", Some("accept-encoding")),
            ],
        );
        let policy = plain.head.field("content-security-policy").expect("a policy");
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let small = connection.ask(&format!("GET {path}"), &[("Accept-Encoding", "gzip")]);
        if small.head.field("content-encoding") == Some("gzip") {
            assert!(small.body.starts_with(&[0x1f, 0x8b]) && small.body.len() < plain.body.len(), "{path}");
        } else {
            assert_eq!(small.body, plain.body, "{path}");
        }
        let head = connection.ask(&format!("HEAD {path}"), &[]).head;
        assert_eq!(head.field("content-length"), Some(&*plain.body.len().to_string()), "{path}");
    }
    server.finish(&[]);
}
