//! Several portals on one store: which one answers, what each sees of a request and of the store, and what the metrics say.

use crate::Store;
use crate::fixture::{Pattern, Response, Server, Stored, eventually, run};
use crate::portal_limits::component;
use portico_test_artifacts::HOSTILE;
use std::fs;
use std::sync::Arc;

/// A server with these entries. `{hostile}` is the file of the portal that does what its client asks.
fn start(entries: &str, flags: &[&str]) -> Server {
    let store = Arc::new(Store::new());
    let config = configured(&store, entries);
    Server::start_on(&store, &[&["--config", &*config], flags].concat())
}

fn configured(store: &Store, entries: &str) -> String {
    let (config, hostile) = (store.beside("portico.toml"), store.beside("hostile.wasm"));
    fs::write(&hostile, HOSTILE).expect("a file");
    fs::write(&config, entries.replace("{hostile}", &hostile.display().to_string())).expect("a file");
    config.display().to_string()
}

/// Sends a request under a host name.
fn ask_host(server: &Server, line: &str, host: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    connection.response()
}

#[track_caller]
fn is_hostile(response: &Response) {
    assert_eq!((response.head.status, &*response.body), (200, b"ok".as_slice()), "{response:?}");
}

#[track_caller]
fn is_built_in(response: &Response) {
    assert_eq!(response.head.status, 200, "{response:?}");
    assert!(response.body.starts_with(b"{\"files\""), "{:?}", String::from_utf8_lossy(&response.body));
}

const TWO: &str = "
    [[portals]]
    shared_scope = true
    [[portals]]
    prefix = '/other'
    file = '{hostile}'
    scope = 'other'
    shared_scope = true
    max_requests = 2";

#[test]
fn the_longest_prefix_wins_and_ends_with_a_segment() {
    let entries = format!(
        "{TWO}
        [[portals]]
        prefix = '/other/deep'
        scope = 'deep'
        shared_scope = true"
    );
    let server = start(&entries, &[]);
    is_built_in(&server.ask("GET /files", &[]));
    is_hostile(&server.ask("GET /other/ok", &[]));
    is_hostile(&server.ask("GET /other/ok?query=/other/deep", &[]));
    is_built_in(&server.ask("GET /other/deep/files", &[]));
    server.ask("GET /otherwise", &[]).expect_problem(404, "not-found");
    is_hostile(&server.ask("GET /other/deeper", &[]));
    // Links of a page are right below the slash only.
    for (path, location) in
        [("/other", "other/"), ("/other?a=b", "other/?a=b"), ("/other/deep", "deep/"), ("/other/deep?", "deep/?")]
    {
        let response = server.ask(&format!("GET {path}"), &[]);
        assert_eq!((response.head.status, response.head.field("location")), (308, Some(location)), "{path}");
    }
    // What the host answers, it answers for all.
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    server.finish(&[]);
}

#[test]
fn a_portal_below_a_prefix_works_as_at_the_root() {
    let server = start("[[portals]]\nprefix = '/up'\nshared_scope = true", &[]);
    let content = Pattern::new(1, 300_000);
    let mut connection = server.connect();
    connection.send_put("/up/files/name", &[], &content);
    let response = connection.response();
    let file = Stored::new(&response, &content);
    let mut connection = server.connect();
    connection.request(&format!("GET /up/files/{}", file.id), &[]);
    let head = connection.head();
    connection.expect_content(&head, &content, 0..content.size());
    let page = server.ask("GET /up/", &[]);
    assert_eq!(page.head.status, 200);
    // Nobody answers elsewhere.
    let problem = server.ask("GET /files", &[]).expect_problem(404, "not-found");
    assert_eq!(problem["detail"], "No portal answers under this address.");
    server.finish(&[&file]);
}

#[test]
fn a_guest_is_told_where_it_is() {
    let server = start(TWO, &["--base-url", "https://example.org/outer"]);
    let seen = server.ask("GET /other/headers", &[("X-Portico-Prefix", "/forged")]);
    let seen = String::from_utf8(seen.body).expect("text");
    assert!(seen.contains("x-portico-prefix: /other\n"), "{seen}");
    assert!(
        seen.contains("x-portico-base-url: https://example.org/outer/other\n") && !seen.contains("forged"),
        "{seen}"
    );
    server.finish(&[]);
}

#[test]
fn a_host_name_goes_before_a_prefix_and_needs_no_token_on_loopback() {
    let entries = "
        [[portals]]
        scope = 'a'
        [[portals]]
        host = 'Other.Example'
        prefix = '/files'
        file = '{hostile}'
        scope = 'b'";
    let server = start(entries, &[]);
    is_built_in(&server.ask("GET /files", &[]));
    for host in ["other.example", "OTHER.example:8080"] {
        is_hostile(&ask_host(&server, "GET /files/ok", host));
        // Other paths are those of the portal without a host name.
        ask_host(&server, "GET /openapi.json", host).head.expect(200, &[]);
    }
    // A name that nobody has configured may be a trick of a page.
    ask_host(&server, "GET /files", "evil.example").expect_host_problem(421);
    server.finish(&[]);
}

#[test]
fn portals_see_their_own_part_of_the_store() {
    let entries = "
        [[portals]]
        prefix = '/a'
        scope = 'a'
        [[portals]]
        prefix = '/b'
        scope = 'b'
        part_size = '1MiB'
        session_ttl = '1s'";
    let store = Arc::new(Store::new());
    let config = configured(&store, entries);
    let server = Server::start_on(&store, &["--config", &config, "--maintenance-interval", "20ms"]);
    let mut connection = server.connect();
    let content = Pattern::new(1, 1_000);
    connection.send_put("/a/files/name", &[], &content);
    let id = Stored::new(&connection.response(), &content).id;
    assert_eq!(server.ask(&format!("HEAD /a/files/{id}"), &[]).head.status, 200);
    assert_eq!(server.ask(&format!("HEAD /b/files/{id}"), &[]).head.status, 404);
    // Maintenance runs for each.
    for name in ["/a", "/b"] {
        let passes = format!("portico_upkeep_passes_total{{task=\"maintenance\",outcome=\"done\",portal=\"{name}\"}}");
        eventually("maintenance", || server.metric(&passes).filter(|count| *count > 0));
    }
    // The sweep of a pass comes after the maintenance of all portals.
    eventually("a sweep", || Some(server.upkeep_passes("sweep", "done")).filter(|count| *count > 0));
    let uploads = |portal: &str| {
        let name = "portico_uploads_total{protocol=\"files\",outcome=\"complete\"";
        server.metric(&format!("{name},portal=\"{portal}\"}}")).expect("a series")
    };
    assert_eq!((uploads("/a"), uploads("/b")), (1, 0));
    assert_eq!(server.ask(&format!("DELETE /a/files/{id}"), &[]).head.status, 204);
    server.stop(&[]);
    // Commands without a server.
    let mut command = store.command("sweep");
    command.args(["--config", &*config]);
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let mut command = store.command("check");
    command.args(["--config", &*config]);
    let said = run(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in ["at /a, scope main.a", "at /b, scope main.b", "portal: built in"] {
        assert!(said.out.lines().any(|said| said == line), "no {line:?} in {}", said.out);
    }
}

#[test]
fn a_portal_has_a_limit_of_its_own_and_failures_of_its_own() {
    let server = start(TWO, &[]);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = server.connect();
            connection.request("GET /other/never", &[]);
            connection
        })
        .collect();
    eventually("two guests asleep", || (server.log().matches(": asleep ").count() == 2).then_some(()));
    server.ask("GET /other/ok", &[]).expect_host_problem(503);
    is_built_in(&server.ask("GET /files", &[]));
    drop(waiting);
    eventually("a free slot", || (server.ask("GET /other/ok", &[]).head.status == 200).then_some(()));
    server.ask("GET /other/trap", &[]).expect_host_problem(500);
    let failures =
        |portal: &str| server.metric(&format!("portico_guest_failures_total{{reason=\"trap\",portal=\"{portal}\"}}"));
    assert_eq!((failures("/other"), failures("/")), (Some(1), Some(0)));
    server.finish(&[]);
}

#[test]
fn the_page_of_the_built_in_portal_alone_needs_no_token() {
    let store = Arc::new(Store::new());
    let config = configured(&store, TWO);
    let tokens = store.beside("tokens");
    fs::write(&tokens, "0123456789abcdefghijklmnopqrstuv\n").expect("a file");
    let tokens = tokens.display().to_string();
    let server = Server::start_on(&store, &["--config", &config, "--token-file", &tokens]);
    assert_eq!(server.ask("GET /", &[]).head.status, 200);
    for path in ["/other/", "/other", "/other/page/x", "/files"] {
        assert_eq!(server.ask(&format!("GET {path}"), &[]).head.status, 401, "{path}");
    }
}

#[test]
fn the_client_uses_the_built_in_portal() {
    let store = Arc::new(Store::new());
    let config = configured(
        &store,
        "[[portals]]\nprefix='/x'\nfile='{hostile}'\nscope='x'\n[[portals]]\nprefix='/y'\nscope='y'",
    );
    let mut command = store.command("ls");
    command.args(["--config", &*config]);
    let said = run(command);
    assert_eq!((said.code, &*said.out, &*said.err), (Some(0), "", ""), "{said:?}");
    let config = configured(
        &store,
        "[[portals]]\nprefix='/x'\nfile='{hostile}'\nscope='x'\n[[portals]]\nfile='{hostile}'\nscope='y'",
    );
    let mut command = store.command("ls");
    command.args(["--config", &*config]);
    let said = run(command);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("no portal of the configuration is the built-in one"), "{said:?}");
}

#[test]
fn one_that_cannot_be_run_ends_the_start_and_is_named() {
    let store = Store::new();
    let config =
        configured(&store, &format!("{TWO}\n[[portals]]\nprefix='/third'\nfile='{}'", store.beside("third").display()));
    let text = fs::read_to_string(&config).expect("a file") + "\nscope = 'third'\nshared_scope = true";
    fs::write(&config, text).expect("a file");
    fs::write(store.beside("third"), component("(import \"other:thing/x\" (func))")).expect("a file");
    let mut command = store.command("serve");
    command.args(["--listen", "127.0.0.1:0", "--config", &*config]);
    let said = run(command);
    assert_eq!((said.code, &*said.out), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("third") && said.err.contains("other:thing/x"), "{said:?}");
}
