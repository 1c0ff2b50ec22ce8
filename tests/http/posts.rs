//! `POST /files` with a plain body: as a PUT, with the name in a header field or in the query.

use crate::fixture::stored::expect_receipt;
use crate::fixture::{Pattern, Response, Server, Stored};

fn post(server: &Server, target: &str, fields: &[(&str, &str)], content: &Pattern) -> Response {
    let mut connection = server.connect();
    let length = content.size().to_string();
    connection.request(&format!("POST {target}"), &[&[("Content-Length", &*length)], fields].concat());
    content.pieces().for_each(|piece| connection.send(piece));
    connection.response()
}

#[test]
fn a_body_gets_its_name_from_a_field_or_the_query() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 200_000);
    let mut files = Vec::new();
    for (target, disposition, content_type, name) in [
        ("/files", Some("attachment; filename=plain.txt"), "text/plain", "plain.txt"),
        ("/files", Some("ATTACHMENT;filename=\"a \\\"b\\\".txt\""), "text/plain", "a \"b\".txt"),
        ("/files", Some("attachment; filename=x; filename*=UTF-8''na%C3%AFve.txt"), "text/plain", "na\u{ef}ve.txt"),
        ("/files", Some("attachment; filename=\"na\u{ef}ve.txt\""), "text/plain", "na\u{ef}ve.txt"),
        ("/files?name=by%20query+1", None, "image/png", "by query+1"),
        ("/files?name=back%5Cslash", None, "image/png", "back\\slash"),
        ("/files?name=same", Some("attachment; filename=same"), "image/png", "same"),
        ("/files?x=y&name=form", None, "application/x-www-form-urlencoded", "form"),
        ("/files?name=mixed", None, "multipart/mixed; boundary=x", "mixed"),
    ] {
        let disposition = disposition.map(|disposition| ("Content-Disposition", disposition));
        let fields: Vec<_> = disposition.into_iter().chain([("Content-Type", content_type)]).collect();
        let response = post(&server, target, &fields, &content);
        let file = Stored::new(&response, &content);
        expect_receipt(&response, &server.store, &file, content_type, name);
        files.push(file);
    }
    // As with a PUT: a digest is checked, and no type is a type.
    let response = post(&server, "/files?name=digest", &[("Content-Digest", &content.digest_field())], &content);
    let file = Stored::new(&response, &content);
    expect_receipt(&response, &server.store, &file, "application/octet-stream", "digest");
    files.push(file);
    let other = Pattern::new(2, 3).digest_field();
    let wrong = post(&server, "/files?name=digest", &[("Content-Digest", &other)], &content);
    wrong.expect_problem(422, "digest-mismatch");
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_body_without_one_good_name_is_refused() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3);
    for (target, disposition, field) in [
        ("/files", None, "name"),
        ("/files?name=", None, "name"),
        ("/files?name=..", None, "name"),
        ("/files?name=..%2Fx", None, "name"),
        ("/files?name=%FF", None, "name"),
        ("/files?name=a%00b", None, "name"),
        (&*format!("/files?name={}", "n".repeat(256)), None, "name"),
        ("/files?name=one", Some("attachment; filename=other"), "name"),
        ("/files", Some("attachment"), "content-disposition"),
        ("/files?name=x", Some("attachment"), "content-disposition"),
        ("/files", Some("attachment; filename="), "content-disposition"),
        ("/files", Some("attachment; filename=\"../../etc/passwd\""), "content-disposition"),
        ("/files", Some("attachment; filename=\"C:\\x\""), "content-disposition"),
        ("/files", Some("attachment; filename=\"x"), "content-disposition"),
        ("/files", Some("attachment; filename=x, attachment; filename=y"), "content-disposition"),
        ("/files", Some("inline; filename=x"), "content-disposition"),
        ("/files", Some("form-data; name=x; filename=x"), "content-disposition"),
        ("/files", Some("attachment; filename*=iso-8859-1''%EF"), "content-disposition"),
        ("/files", Some(""), "content-disposition"),
    ] {
        let fields: Vec<_> = disposition.iter().map(|value| ("Content-Disposition", *value)).collect();
        let problem = post(&server, target, &fields, &content).expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], field, "{target} {disposition:?}");
    }
    // Bytes that are not UTF-8.
    let mut connection = server.connect();
    connection.send(b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n");
    connection.send(b"Content-Disposition: attachment; filename=\"na\xefve\"\r\n\r\nabc");
    assert_eq!(connection.response().expect_problem(400, "invalid-request")["field"], "content-disposition");
    // Each file of a form has a name of its own.
    let form = [("Content-Type", "multipart/form-data; boundary=b")];
    let problem = post(&server, "/files?name=x", &form, &content).expect_problem(400, "invalid-request");
    assert_eq!(problem["field"], "name");
    let refused = post(&server, "/files?name=x", &[("Content-Encoding", "gzip")], &content);
    refused.expect_problem(415, "unsupported-coding");
    post(&server, "/files?name=x", &[("If-Match", "*")], &content).expect_problem(412, "precondition-failed");
    server.finish(&[]);
}
