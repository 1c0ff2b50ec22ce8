//! Access tokens: who shows one is let in, wherever the server listens and whatever name it is asked by.

use crate::fixture::http2::Http2;
use crate::fixture::{Pattern, Response, Server, Stored, eventually, portico, run};
use crate::folder::Folder;
use portico_test_artifacts::HOSTILE;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const ONE: &str = "first-token-0123456789abcdefghij";
const OTHER: &str = "second.token~0123456789+ABCDEF/ghij==";

/// A file of these tokens beside a store, which its owner alone may read.
fn token_file(folder: &Folder, content: &str) -> PathBuf {
    let path = folder.beside("tokens");
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a file of ours");
    path
}

/// A server that lets in who shows one of both tokens.
pub(crate) fn guarded(flags: &[&str]) -> Server {
    let folder = Arc::new(Folder::new());
    let path = token_file(&folder, &format!("# the first\n{ONE}\n\n  # and another\n{OTHER}\n"));
    Server::start_on(&folder, &[&["--token-file", &*path.display().to_string()], flags].concat())
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[track_caller]
fn expect_unauthorized(response: &Response) {
    assert_eq!(response.head.field("www-authenticate"), Some("Bearer realm=\"portico\""));
    if response.body.is_empty() {
        assert_eq!(response.head.status, 401);
    } else {
        response.expect_host_problem(401);
    }
}

#[test]
fn who_shows_a_token_is_let_in_and_nobody_else() {
    let server = guarded(&[]);
    let content = Pattern::new(1, 100_000);
    let mut connection = server.connect();
    connection.send_put("/files/mine", &[("Authorization", &bearer(ONE))], &content);
    let file = Stored::new(&connection.response(), &content);
    let get = format!("GET {}", file.path());
    for shown in [bearer(ONE), bearer(OTHER), format!("bearer {ONE}"), format!("BEARER   {OTHER} ")] {
        let mut connection = server.connect();
        connection.request(&get, &[("Authorization", &shown)]);
        let head = connection.head();
        head.expect(200, &[]);
        connection.expect_content(&head, &content, 0..content.size());
    }
    for line in [
        &*get,
        "GET /openapi.json",
        "GET /files",
        "GET /nothing",
        "HEAD /files",
        "OPTIONS /files",
        "POST /uploads/sessions",
        "GET /health/",
        "GET //health",
        &format!("GET /files?access_token={ONE}"),
        &format!("DELETE {}", file.path()),
    ] {
        expect_unauthorized(&server.ask(line, &[]));
        for shown in [
            bearer("third-token-0123456789abcdefghij"),
            bearer(&ONE[..31]),
            bearer(&format!("{ONE}k")),
            bearer(&ONE.to_uppercase()),
            bearer(&format!("{ONE} {OTHER}")),
            bearer(""),
            "Bearer".to_owned(),
            ONE.to_owned(),
            format!("Basic {ONE}"),
        ] {
            expect_unauthorized(&server.ask(line, &[("Authorization", &shown)]));
        }
        let twice = [("Authorization", &*bearer(ONE)), ("Authorization", &*bearer(ONE))];
        expect_unauthorized(&server.ask(line, &twice));
    }
    server.expect_files(&[&file]);
    for line in ["GET /health", "HEAD /health", "GET /ready", "HEAD /ready"] {
        assert_eq!(server.ask(line, &[]).head.status, 200, "{line}");
    }
    server.finish(&[&file]);
}

#[test]
fn a_body_without_a_token_is_not_waited_for() {
    let server = guarded(&[]);
    let mut connection = server.connect();
    connection.request("PUT /files/mine", &[("Content-Length", "1000000000"), ("Expect", "100-continue")]);
    expect_unauthorized(&connection.response());
    connection.expect_end();
    let mut connection = server.connect();
    connection.send_put("/files/mine", &[("Authorization", "Bearer wrong")], &Pattern::new(1, 8 << 20));
    expect_unauthorized(&connection.response());
    connection.expect_end();
    server.finish(&[]);
}

#[test]
fn with_tokens_it_answers_by_any_name_and_on_any_address() {
    let folder = Arc::new(Folder::new());
    let store = format!("file:{}", folder.root().display());
    let path = token_file(&folder, ONE).display().to_string();
    let anywhere = ["serve", "--store", &*store, "--listen", "0.0.0.0:0"];
    let said = run(portico(anywhere));
    assert_eq!((said.code, &*said.out), (Some(2), ""), "{said:?}");
    for word in ["listen = `0.0.0.0:0`", "loopback", "token_file"] {
        assert!(said.err.contains(word), "no {word:?} in {}", said.err);
    }

    let mut server = Server::spawn(portico(anywhere.iter().chain(&["--token-file", &*path])), &folder);
    assert_eq!(server.addr.ip(), Ipv4Addr::UNSPECIFIED);
    server.addr.set_ip(Ipv4Addr::LOCALHOST.into());
    for host in ["files.example", "files.example:443", "192.0.2.7", "localhost"] {
        let mut connection = server.connect();
        connection.send(format!("GET /files HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\n\r\n", bearer(ONE)));
        assert_eq!(connection.response().head.status, 200, "{host}");
        connection.send(format!("GET /files HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        expect_unauthorized(&connection.response());
    }
    let mut connection = server.connect();
    connection.send(format!("GET /files HTTP/1.1\r\nAuthorization: {}\r\n\r\n", bearer(ONE)));
    connection.response().expect_host_problem(400);
    server.finish(&[]);
}

#[test]
fn a_trusted_proxy_of_ipv4_is_trusted_on_a_socket_of_ipv6() {
    for proxies in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let folder = Arc::new(Folder::new());
        let store = format!("file:{}", folder.root().display());
        let path = token_file(&folder, ONE).display().to_string();
        let flags = ["--listen", "[::]:0", "--token-file", &*path, "--trusted-proxies", proxies];
        let mut server = Server::spawn(portico(["serve", "--store", &*store].iter().chain(&flags)), &folder);
        server.addr.set_ip(Ipv4Addr::LOCALHOST.into());
        let head = server.ask("GET /files/x", &[("X-Request-Id", "chosen"), ("Authorization", &bearer(ONE))]).head;
        assert_eq!((head.status, head.field("x-request-id")), (404, Some("chosen")), "{proxies}");
        server.finish(&[]);
    }
}

#[tokio::test]
async fn it_is_the_same_over_http2() {
    let server = guarded(&[]);
    let client = Http2::open(&server).await;
    let (head, _) = client.ask("GET", "/files").await;
    assert_eq!(head.status, 401);
    for (shown, status) in [(bearer(OTHER), 200), (bearer("wrong"), 401)] {
        let (response, _) = client.begin("GET", "/files", &[("authorization", &*shown)], true).await;
        assert_eq!(response.await.expect("a response").status(), status, "{shown}");
    }
    client.close().await;
    server.finish(&[]);
}

#[tokio::test]
async fn a_token_reaches_neither_the_guest_nor_the_log() {
    let folder = Arc::new(Folder::new());
    let (portal, path) = (folder.beside("hostile.wasm"), token_file(&folder, ONE));
    fs::write(&portal, HOSTILE).expect("a file");
    let [portal, path] = [portal, path].map(|path| path.display().to_string());
    let server = Server::start_on(
        &folder,
        &[
            "--portal",
            &*portal,
            "--token-file",
            &*path,
            "--log",
            "info,h2=trace,hyper=trace,portico_host=trace",
            "--max-requests=4",
        ],
    );
    let response = server.ask("GET /headers", &[("Authorization", &bearer(ONE)), ("X-Other", "kept")]);
    let seen = String::from_utf8(response.body).expect("text");
    assert!(seen.contains("x-other: kept\n") && !seen.contains("authorization"), "{seen}");
    expect_unauthorized(&server.ask("GET /headers", &[("Authorization", &format!("Bearer {OTHER}"))]));
    let client = Http2::open(&server).await;
    let (response, _) = client.begin("GET", "/headers", &[("authorization", &*bearer(ONE))], true).await;
    assert_eq!(response.await.expect("a response").status(), 200);
    client.close().await;
    // What is told last of the connection.
    let log = server.log_with("recv_eof");
    assert!(log.contains("access"), "{log}");
    for token in [ONE, OTHER] {
        let line = log.lines().find(|line| line.contains(token));
        assert_eq!(line, None);
    }
    server.finish(&[]);
}

#[test]
fn a_bad_file_of_tokens_is_named_with_its_line_and_without_its_content() {
    let folder = Folder::new();
    let store = format!("file:{}", folder.root().display());
    let large = format!("{ONE}\n").repeat(2_000);
    for (content, words) in [
        (&*format!("{ONE}\n\n{}\n", &OTHER[..31]), "line 3: a token has at least 32 characters"),
        (&*format!("{ONE} {OTHER}\n"), "line 1: a token may have only letters, digits"),
        ("# none\n\n", "no token"),
        ("", "no token"),
        (&*large, "larger than 65536 bytes"),
    ] {
        let path = token_file(&folder, content).display().to_string();
        for command in ["serve", "check"] {
            let said = run(portico([command, "--store", &*store, "--token-file", &*path]));
            assert_eq!(said.code, Some(2), "{said:?}");
            assert!(said.err.contains(&format!("token_file = `{path}` (from --token-file): ")), "{said:?}");
            assert!(said.err.contains(words), "no {words:?} in {}", said.err);
            let told = format!("{}{}", said.out, said.err);
            assert!(!told.contains(&ONE[..20]) && !told.contains(&OTHER[..20]), "{told}");
        }
    }
    for missing in [folder.beside("missing"), folder.beside("")] {
        let missing = missing.display().to_string();
        let said = run(portico(["serve", "--store", &*store, "--token-file", &*missing]));
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(&missing) && said.err.contains("cannot read it"), "{said:?}");
    }
    assert!(!folder.root().exists(), "nothing is made before the configuration is right");
}

#[test]
fn a_file_of_tokens_that_all_may_read_is_warned_of() {
    for (mode, warned) in [(0o644, true), (0o640, false)] {
        let folder = Arc::new(Folder::new());
        let path = token_file(&folder, ONE);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a file of ours");
        let path = path.display().to_string();
        let server = Server::start_on(&folder, &["--token-file", &*path]);
        let log = eventually("that it serves", || Some(server.log()).filter(|log| log.contains("serving")));
        let told = log.lines().any(|line| line.contains("WARN") && line.contains("token") && line.contains(&path));
        assert_eq!(told, warned, "{mode:o}: {log}");
        server.finish(&[]);
    }
}
