//! Forms: `POST /files` with `multipart/form-data`, as pages without a script and curl send it.

use crate::fixture::form::{BOUNDARY, bytes, content_type, field, file, form, part, post, stored};
use crate::fixture::stored::receipt;
use crate::fixture::{Pattern, Server, Stored, run};
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn files_and_the_fields_before_them() {
    let server = Server::start(&[]);
    let contents = [Pattern::new(1, 300_000), Pattern::new(2, 0), Pattern::new(3, 70_000)];
    let unchosen =
        "Content-Disposition: form-data; name=\"other\"; filename=\"\"\r\nContent-Type: application/octet-stream";
    let untyped = "Content-Disposition: form-data; name=more; filename=third";
    let response = post(
        &server,
        &form(&[
            field("Note", "for both, na\u{ef}ve"),
            field("_charset_", "utf-8"),
            file("first.txt", &contents[0]),
            part(unchosen, b""),
            field("note", "for the rest"),
            field("owner", ""),
            file("second.txt", &contents[1]),
            part(untyped, &bytes(&contents[2])),
            field("submit", "Send"),
        ]),
    );
    let files = stored(&response, &[&contents[0], &contents[1], &contents[2]]);
    response.head.expect(
        201,
        &[("content-type", Some("application/json")), ("location", None), ("cache-control", Some("no-store"))],
    );
    let later = json!({ "note": "for the rest", "owner": "" });
    let mut expected = json!({ "files": [], "unused_fields": ["submit"] });
    for (file, name, content_type, metadata) in [
        (&files[0], "first.txt", "text/plain", json!({ "note": "for both, na\u{ef}ve" })),
        (&files[1], "second.txt", "text/plain", later.clone()),
        (&files[2], "third", "application/octet-stream", later),
    ] {
        let mut one = receipt(&server.store, file, content_type, name);
        one["metadata"] = metadata;
        expected["files"].as_array_mut().expect("files").push(one);
    }
    let mut told = response.json();
    let created = told["files"].as_array_mut().expect("files").iter_mut().map(|file| {
        let file = file.as_object_mut().expect("a receipt");
        file.remove("created_at").expect("a time")
    });
    assert!(created.collect::<Vec<Value>>().iter().all(Value::is_string));
    assert_eq!(told, expected);
    files.iter().for_each(|file| server.expect_file(file));
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn one_file_has_a_location() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let body = form(&[file("one.txt", &content)]);
    let response = post(&server, &body);
    let files = stored(&response, &[&content]);
    assert_eq!(response.head.field("location"), Some(files[0].path().trim_start_matches('/')));
    // A body of unknown length; and the connection goes on.
    let mut connection = server.connect();
    connection.request("POST /files", &[("Content-Type", &content_type()), ("Transfer-Encoding", "chunked")]);
    body.chunks(7).for_each(|chunk| connection.send_chunk(chunk));
    connection.end_chunks();
    let more = stored(&connection.response(), &[&content]);
    assert_eq!(connection.ask(&format!("HEAD {}", more[0].path()), &[]).head.status, 200);
    server.finish(&[&files[0], &more[0]]);
}

#[test]
fn a_browser_gets_a_page() {
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let server = Server::start(&[]);
    let content = Pattern::new(1, 10);
    let body = form(&[file("<script>&amp;%22'.txt", &content), file("\u{202e}b", &content), field("submit", "Send")]);
    let mut connection = server.connect();
    let length = body.len().to_string();
    let fields = [("Content-Type", &*content_type()), ("Content-Length", &*length), ("Accept", BROWSER)];
    connection.request("POST /files", &fields);
    connection.send(&body);
    let response = connection.response();
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.head.expect(
        201,
        &[
            ("content-type", Some("text/html; charset=utf-8")),
            ("content-security-policy", Some(policy)),
            ("x-content-type-options", Some("nosniff")),
            ("vary", Some("accept")),
        ],
    );
    let page = String::from_utf8(response.body).expect("a page");
    let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().expect("a link"));
    let ids: Vec<&str> = links.map(|link| link.strip_prefix("files/").expect("a relative link")).collect();
    let files: Vec<Stored> = ids.iter().map(|id| Stored { id: (*id).to_owned(), content: content.clone() }).collect();
    let digest = content.sha256_hex();
    for line in [
        format!(
            "<li><a href=\"files/{}\"><bdi>&#60;script&#62;&#38;amp;&#34;&#39;.txt</bdi></a>, 10 bytes, \
             SHA-256 <code>{digest}</code></li>",
            ids[0]
        ),
        format!(
            "<li><a href=\"files/{}\"><bdi>\u{202e}b</bdi></a>, 10 bytes, SHA-256 <code>{digest}</code></li>",
            ids[1]
        ),
        "<p>Not stored, because no file came after them: <code>submit</code></p>".to_owned(),
    ] {
        assert!(page.contains(&line), "no {line} in {page}");
    }
    server.finish(&[&files[0], &files[1]]);
}

#[test]
fn content_that_is_nearly_a_boundary_is_content() {
    let server = Server::start(&[]);
    let near = [
        format!("\r\n--{}", &BOUNDARY[..BOUNDARY.len() - 1]),
        format!("--{BOUNDARY}"),
        format!("\n--{BOUNDARY}--"),
        "\r\n".repeat(50),
        "\r".to_owned(),
        "\r\n--\r\n--\r\n\r\n".to_owned(),
    ];
    let long = [vec![b'x'; (64 << 10) - 40], near.concat().into_bytes(), vec![b'\r'; 200_000]].concat();
    let contents: Vec<Vec<u8>> = near.iter().map(|text| text.clone().into_bytes()).chain([long]).collect();
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"x\"";
    let body = form(&contents.iter().map(|content| part(head, content)).collect::<Vec<_>>());
    for size in [1, 3, 1_000, 64 << 10, body.len()] {
        let mut connection = server.connect();
        connection.request("POST /files", &[("Content-Type", &content_type()), ("Transfer-Encoding", "chunked")]);
        // The smallest chunks are for the part of the form with the hard places.
        let few = if size < 1_000 { 4_000 } else { 0 };
        body[..few].chunks(size).for_each(|chunk| connection.send_chunk(chunk));
        body[few..].chunks(size.max(1_000)).for_each(|chunk| connection.send_chunk(chunk));
        connection.end_chunks();
        let told = connection.response().json();
        let files = told["files"].as_array().unwrap_or_else(|| panic!("{told}"));
        assert_eq!(files.len(), contents.len());
        for (file, content) in files.iter().zip(&contents) {
            let path = format!("/files/{}", file["file_id"].as_str().expect("an id"));
            let mut connection = server.connect();
            connection.request(&format!("GET {path}"), &[]);
            let head = connection.head();
            let mut read = Vec::new();
            connection.body(&head, |_, bytes| read.extend_from_slice(bytes)).expect("the whole");
            assert!(read == *content, "chunks of {size} bytes: {} bytes of {}", read.len(), content.len());
            assert_eq!(connection.ask(&format!("DELETE {path}"), &[]).head.status, 204);
        }
    }
    server.finish(&[]);
}

#[test]
fn names_as_clients_write_them() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3);
    let mut files = Vec::new();
    for (parameters, name) in [
        ("filename=plain.txt", "plain.txt"),
        ("filename=\"a b;c=d.txt\"", "a b;c=d.txt"),
        ("filename=\"\u{2603} na\u{ef}ve.txt\"", "\u{2603} na\u{ef}ve.txt"),
        ("filename=\"%22quoted%22.txt\"", "\"quoted\".txt"),
        ("filename=\"\\\"quoted\\\".txt\"", "\"quoted\".txt"),
        ("filename=\"100% %2F.txt\"", "100% %2F.txt"),
        ("filename=\"x\"; filename*=UTF-8''na%C3%AFve%20%E2%98%83.txt", "na\u{ef}ve \u{2603}.txt"),
        ("filename*=utf-8'en'a.txt", "a.txt"),
        ("FileName=\".hidden\"", ".hidden"),
        (&*format!("filename=\"{}\"", "n".repeat(255)), &*"n".repeat(255)),
    ] {
        let head = format!("content-DISPOSITION:form-data;name=\"file\";{parameters}");
        let response = post(&server, &form(&[part(&head, &bytes(&content))]));
        files.extend(stored(&response, &[&content]));
        assert_eq!(response.json()["files"][0]["original_filename"], name, "{parameters}");
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_digest_field_is_of_the_next_file() {
    let server = Server::start(&[]);
    let contents = [Pattern::new(1, 100_000), Pattern::new(2, 5)];
    let digest = |content: &Pattern| field("sha256", &content.sha256_hex());
    let [first, second] = &contents;
    let good = [digest(first), file("a", first), file("b", second), digest(second), file("c", second)];
    let files = stored(&post(&server, &form(&good)), &[first, second, second]);

    let wrong = form(&[file("a", first), digest(first), file("b", second)]);
    assert_eq!(post(&server, &wrong).expect_problem(422, "digest-mismatch")["field"], "file");
    for bad in [
        vec![file("a", first), digest(second)],
        vec![digest(first), digest(first), file("a", first)],
        vec![field("sha256", "abc"), file("a", first)],
    ] {
        assert_eq!(post(&server, &form(&bad)).expect_problem(400, "invalid-request")["field"], "sha256");
    }
    // A page that has none leaves the input empty.
    let empty = stored(&post(&server, &form(&[field("sha256", ""), file("a", second)])), &[second]);
    // A digest of the form as a whole could not be checked.
    let body = form(&[file("a", first)]);
    let mut connection = server.connect();
    let (kind, length, digest) = (content_type(), body.len().to_string(), first.digest_field());
    let fields = [("Content-Type", &*kind), ("Content-Length", &*length), ("Content-Digest", &*digest)];
    connection.request("POST /files", &fields);
    connection.send(&body);
    assert_eq!(connection.response().expect_problem(400, "invalid-request")["field"], "content-digest");
    server.finish(&files.iter().chain(&empty).collect::<Vec<_>>());
}

/// Runs curl, which must succeed; answers the document that it was sent.
fn curl(arguments: &[&str]) -> Value {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--max-time", "60"])
        .args(arguments);
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    serde_json::from_str(&said.out).expect("a document")
}

#[test]
fn curl_sends_forms_and_files() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 << 20);
    let path = crate::fixture::command::file_of(&server.store, "na\u{ef}ve \"x\".bin", &content);
    let (url, path) = (format!("http://{}/files", server.addr), path.display().to_string());
    let quoted = path.replace('"', "\\\"");
    let one = curl(&["-F", &format!("file=@\"{quoted}\""), "-F", "note=y", &url]);
    assert_eq!((&one["unused_fields"], &one["files"][0]["metadata"]), (&json!(["note"]), &json!({})));
    let two = curl(&[
        "-F",
        "note=y",
        "-F",
        &format!("sha256={}", content.sha256_hex()),
        "-F",
        &format!("file=@\"{quoted}\";type=text/csv"),
        "-F",
        &format!("file=@\"{quoted}\";filename=other.bin"),
        &url,
    ]);
    assert_eq!(two["files"][0]["metadata"], json!({ "note": "y" }));
    assert_eq!(two["files"][0]["content_type"], "text/csv");
    let query = curl(&["--data-binary", &format!("@{path}"), &format!("{url}?name=by%20query")]);
    let header = curl(&[
        "--data-binary",
        &format!("@{path}"),
        "-H",
        "Content-Disposition: attachment; filename=\"by header\"",
        &url,
    ]);
    let mut files = Vec::new();
    for (receipt, name) in [
        (&one["files"][0], "na\u{ef}ve \"x\".bin"),
        (&two["files"][0], "na\u{ef}ve \"x\".bin"),
        (&two["files"][1], "other.bin"),
        (&query, "by query"),
        (&header, "by header"),
    ] {
        assert_eq!((&receipt["original_filename"], &receipt["sha256"]), (&name.into(), &content.sha256_hex().into()));
        files.push(Stored { id: receipt["file_id"].as_str().expect("an id").to_owned(), content: content.clone() });
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}
