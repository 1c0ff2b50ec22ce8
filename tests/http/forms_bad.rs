//! Forms that are malformed, incomplete or too large: each is refused, and leaves no file.

use crate::fixture::form::{BOUNDARY, begin, bytes, field, file, form, part, post, stored};
use crate::fixture::{Pattern, Server};
use serde_json::Value;

#[test]
fn names_that_climb_are_refused_and_leave_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3);
    for (parameters, field) in [
        ("filename=\"../../etc/passwd\"", "file"),
        ("filename=\"/etc/passwd\"", "file"),
        ("filename=\"..\"", "file"),
        ("filename=\"C:\\x\"", "file"),
        ("filename=\"..\\..\\x\"", "file"),
        ("filename*=UTF-8''..%2F..%2Fx", "file"),
        ("filename*=UTF-8''a%00b", "file"),
        ("filename=\"\"", "file"),
        ("filename=", "file"),
        ("filename=\"a%0D%0Ab\"", "file"),
        ("filename=\"a\tb\"", "file"),
        ("filename=\"a\u{85}b\"", "file"),
        (&*format!("filename=\"{}\"", "n".repeat(256)), "file"),
        (&*format!("filename=\"{}\"", "n".repeat(10 << 10)), "file"),
        ("filename*=iso-8859-1''na%EFve", "content-disposition"),
        ("filename*=UTF-8''%FF", "content-disposition"),
        ("filename*0=a; filename*1=b", "content-disposition"),
        ("filename=a; filename=b", "content-disposition"),
        ("filename=\"a", "content-disposition"),
    ] {
        let head = format!("Content-Disposition: form-data; name=\"file\"; {parameters}");
        let response = post(&server, &form(&[file("good", &content), part(&head, &bytes(&content))]));
        let problem = response.expect_problem(400, "invalid-request");
        assert_eq!((&problem["field"], &problem["remaining_files"]), (&field.into(), &Value::Null), "{parameters}");
        server.expect_files(&[]);
    }
    let latin = b"Content-Disposition: form-data; name=\"file\"; filename=\"na\xefve\"\r\n\r\nx\r\n";
    let latin = [format!("--{BOUNDARY}\r\n").as_bytes(), latin].concat();
    let problem = post(&server, &form(&[latin])).expect_problem(400, "invalid-request");
    assert_eq!(problem["field"], "content-disposition");
    server.finish(&[]);
}

#[test]
fn a_form_that_fails_leaves_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 100_000);
    let good = || file("good", &content);
    let named = |more: &str| format!("Content-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n{more}");
    let large = "x".repeat(1 << 20);
    for (what, status, problem, named, parts) in [
        (
            "a part without a name",
            400,
            "invalid-request",
            "body",
            vec![good(), part("Content-Disposition: form-data", b"x")],
        ),
        ("an empty name", 400, "invalid-request", "body", vec![good(), field("", "x")]),
        (
            "no form-data",
            400,
            "invalid-request",
            "body",
            vec![good(), part("Content-Disposition: attachment; name=a; filename=b", b"x")],
        ),
        (
            "no disposition",
            400,
            "invalid-request",
            "content-disposition",
            vec![good(), part("Content-Type: text/plain", b"x")],
        ),
        ("no headers", 400, "invalid-request", "content-disposition", vec![good(), part("", b"x")]),
        ("malformed headers", 400, "invalid-request", "body", vec![good(), part("Content Disposition", b"x")]),
        ("many headers", 400, "invalid-request", "body", vec![good(), part(&named(&"X: y\r\n".repeat(100)), b"x")]),
        ("large headers", 413, "too-large", "body", vec![good(), part(&named(&format!("X: {large}")), b"x")]),
        (
            "rather large headers",
            413,
            "too-large",
            "body",
            vec![good(), part(&named(&format!("X: {}", &large[..17_000])), b"x")],
        ),
        ("endless headers", 413, "too-large", "body", vec![good(), part(&"X: y\r\n".repeat(200_000), b"x")]),
        (
            "padding",
            413,
            "too-large",
            "body",
            vec![good(), format!("--{BOUNDARY}{}", " ".repeat(1 << 20)).into_bytes()],
        ),
        (
            "a bad media type",
            400,
            "invalid-request",
            "file",
            vec![good(), part(&named("Content-Type: nonsense"), b"x")],
        ),
        (
            "a coded file",
            415,
            "unsupported-coding",
            "file",
            vec![good(), part(&named("Content-Transfer-Encoding: base64"), b"eA==")],
        ),
        (
            "a nested form",
            415,
            "unsupported-media-type",
            "files",
            vec![
                good(),
                part(
                    "Content-Disposition: form-data; name=\"files\"\r\nContent-Type: multipart/mixed; boundary=in",
                    b"--in\r\nContent-Disposition: file; filename=x\r\n\r\nx\r\n--in--",
                ),
            ],
        ),
        ("a large field", 413, "too-large", "note", vec![good(), field("note", &"x".repeat(10 << 20))]),
        ("a field of lines", 400, "invalid-request", "note", vec![good(), field("note", "a\r\nb")]),
        ("a bad name of a field", 400, "invalid-request", "user[name]", vec![good(), field("user[name]", "x")]),
        (
            "the portal's own metadata",
            400,
            "invalid-request",
            "original-filename",
            vec![good(), field("original-filename", "x")],
        ),
        ("a field twice", 400, "invalid-request", "tag", vec![good(), field("tag", "x"), field("Tag", "y")]),
        (
            "many fields",
            400,
            "invalid-request",
            "n63",
            (0..64).map(|number| field(&format!("n{number}"), "x")).collect(),
        ),
        ("no file", 400, "invalid-request", "body", vec![field("note", "x")]),
        ("nothing", 400, "invalid-request", "body", vec![]),
        ("a name without content or file", 400, "invalid-request", "file", vec![good(), file("", &content)]),
        (
            "a thousand files",
            400,
            "invalid-request",
            "file",
            (0..1_000).map(|_| file("x", &Pattern::new(2, 1))).collect(),
        ),
        (
            "many parts",
            400,
            "invalid-request",
            "body",
            (0..1_001).map(|_| part("Content-Disposition: form-data; name=a; filename=\"\"", b"")).collect(),
        ),
    ] {
        let response = post(&server, &form(&parts));
        assert_eq!(response.head.status, status, "{what}: {}", String::from_utf8_lossy(&response.body));
        let problem = response.expect_problem(status, problem);
        let field = problem["field"].as_str().unwrap_or_else(|| panic!("{what}: {problem}"));
        assert!(field.eq_ignore_ascii_case(named), "{what}: {problem}");
        assert!(problem["detail"].is_string() && problem["remaining_files"].is_null(), "{what}: {problem}");
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

#[test]
fn a_form_that_is_cut_leaves_nothing() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 200_000);
    let body = form(&[field("note", "x"), file("first", &content), file("second", &content)]);
    for sent in [0, 1, 40, 150, 100_000, 201_000, 300_000, body.len() - BOUNDARY.len(), body.len() - 3] {
        // The HTTP body is cut off.
        let mut connection = begin(&server, body.len() + 100, &body[..sent]);
        connection.half_close();
        connection.response().expect_problem(400, "interrupted");
        server.expect_files(&[]);
        begin(&server, body.len() + 100, &body[..sent]).reset();
        // The HTTP body is whole, and the form in it is not.
        let problem = post(&server, &body[..sent]).expect_problem(400, "interrupted");
        assert_eq!(problem["detail"], "the form ends before its last boundary");
        server.expect_files(&[]);
    }
    // After the last boundary the form is whole, but the body is not.
    let mut connection = begin(&server, body.len() + 100, &body);
    connection.half_close();
    connection.response().expect_problem(400, "interrupted");
    server.finish(&[]);
}

#[test]
fn a_client_that_stalls_within_a_form_leaves_nothing() {
    let server = Server::start(&["--body-idle-timeout", "300ms"]);
    let content = Pattern::new(1, 100_000);
    let body = form(&[file("first", &content), file("second", &content)]);
    for sent in [0, 50, 50_000, 150_000, body.len()] {
        let mut connection = begin(&server, body.len() + 100, &body[..sent]);
        // wasi-http gives a guest that reads a body itself no code for the failure, so the portal cannot tell a stall.
        connection.response().expect_problem(400, "interrupted");
        server.expect_files(&[]);
    }
    server.finish(&[]);
}

#[test]
fn text_around_the_parts_is_ignored_and_bounded() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let body = form(&[file("a", &content)]);
    let around = |before: usize, after: usize| {
        [vec![b'x'; before].as_slice(), b"\r\n", &body, vec![b'x'; after].as_slice()].concat()
    };
    let files = stored(&post(&server, &around(10_000, 10_000)), &[&content]);
    for body in [around(1 << 20, 0), around(0, 1 << 20)] {
        assert_eq!(post(&server, &body).expect_problem(413, "too-large")["limit"], 16 << 10);
    }
    server.finish(&[&files[0]]);
}

#[test]
fn a_form_needs_a_boundary_that_is_one() {
    let server = Server::start(&[]);
    let body = form(&[file("a", &Pattern::new(1, 10))]);
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\"a\tb\"",
        "multipart/form-data; boundary=a, multipart/form-data; boundary=b",
        &format!("multipart/form-data; boundary={}", "b".repeat(71)),
        &format!("multipart/form-data; boundary={}", "b".repeat(10 << 10)),
    ] {
        let mut connection = server.connect();
        let fields = [("Content-Type", content_type), ("Content-Length", &*body.len().to_string())];
        connection.request("POST /files", &fields);
        connection.send(&body);
        let problem = connection.response().expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], "content-type", "{content_type}");
    }
    // Another boundary than that of the body.
    let mut connection = server.connect();
    let fields =
        [("Content-Type", "multipart/form-data; boundary=other"), ("Content-Length", &*body.len().to_string())];
    connection.request("POST /files", &fields);
    connection.send(&body);
    connection.response().expect_problem(400, "interrupted");
    server.finish(&[]);
}

#[test]
fn a_file_of_a_form_has_the_limit_of_every_file() {
    let server = Server::start(&["--max-object-size", "1MiB"]);
    let (fits, more) = (Pattern::new(1, 1 << 20), Pattern::new(2, (1 << 20) + 1));
    let response = post(&server, &form(&[file("fits", &fits), file("more", &more)]));
    let problem = response.expect_problem(413, "too-large");
    assert_eq!((&problem["limit"], &problem["field"]), (&(1 << 20).into(), &"file".into()));
    server.expect_files(&[]);
    let files = stored(&post(&server, &form(&[file("fits", &fits), file("fits too", &fits)])), &[&fits, &fits]);
    server.finish(&[&files[0], &files[1]]);
}
