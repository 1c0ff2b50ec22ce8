//! How the client's commands are called, and what they say when nobody answers.

use crate::fixture::command::{client, done, expect_content, failed, file_of, put_told};
use crate::fixture::{Pattern, Server, portico};
use crate::folder::Folder;
use std::fs;
use std::net::TcpListener;

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = Folder::new();
    let path = file_of(&folder, "file", &Pattern::new(1, 1));
    let path = path.to_str().expect("text");
    for url in ["", "127.0.0.1:8080", "ftp://localhost", "http://user:secret@localhost", "http://localhost/?x"] {
        let said = failed(client(url, "ls", &[]), 2, &["is not the URL of a server"]);
        assert!(said.out.is_empty(), "{said:?}");
    }
    let here = "http://127.0.0.1:1";
    failed(portico(["ls"]), 2, &["--server", "PORTICO_SERVER", "--store", "PORTICO_STORE"]);
    failed(client(here, "ls", &["--store", "file:x"]), 2, &["--server and --store"]);
    failed(client(here, "put", &[]), 2, &["FILE"]);
    failed(client(here, "put", &["--name", "n", path, path]), 2, &["--name is for one file"]);
    failed(client(here, "put", &["-", "-"]), 2, &["standard input"]);
    failed(client(here, "put", &["--parallel", "0", path]), 2, &["--parallel"]);
    failed(client(here, "put", &["--part-size", "5 apples", path]), 2, &["--part-size"]);
    failed(client(here, "get", &["--json", "-o", "-", "id"]), 2, &["--json"]);
    failed(client(here, "rm", &["../health"]), 1, &["is not the id of a file"]);
    // Before anything is asked of a server.
    let long = "x".repeat(70_000);
    failed(client(here, "put", &["--name", &long, "-"]), 1, &["too long"]);
    failed(client(here, "put", &["--type", "a\nb", "-"]), 1, &["is not a media type"]);
    failed(client(here, "rm", &[&long]), 1, &["is not the id of a file"]);
    failed(client(here, "get", &[&long]), 1, &["is not the id of a file"]);
    failed(client(here, "ls", &["--retry", "soon"]), 2, &["--retry"]);
    failed(client(here, "ls", &["--auth-file", "/no/such/file"]), 2, &["/no/such/file"]);
    // Cut at its largest size it would have a token.
    let long = tempfile::NamedTempFile::new().expect("a file");
    fs::write(long.path(), format!("{}{}", "t".repeat(40), " ".repeat(8 << 10))).expect("room");
    let long = long.path().to_str().expect("text");
    failed(client(here, "ls", &["--auth-file", long]), 2, &[long, "it is larger than 8192 bytes"]);
    failed(client("https://127.0.0.1:1", "ls", &["--ca-file", path]), 2, &["cannot use the certificates", path]);
    let store = format!("file:{}", folder.root().display());
    failed(portico(["ls", "--store", &*store, "--ca-file", path]), 2, &["--ca-file is for a server"]);
    let mut command = client(here, "ls", &[]);
    command.env("PORTICO_TOKEN", "secret secret");
    let said = failed(command, 2, &["PORTICO_TOKEN"]);
    assert!(!said.err.contains("secret"), "{said:?}");
}

#[test]
fn a_server_that_cannot_be_reached_is_told_with_the_reason() {
    let folder = Folder::new();
    let path = file_of(&folder, "file", &Pattern::new(1, 1));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", taken.local_addr().expect("an address"));
    drop(taken);
    let said = failed(
        client(&url, "put", &["--retry", "1s", path.to_str().expect("text")]),
        1,
        &["cannot reach http://127.0.0.1:", "refused", "trying again"],
    );
    assert!(said.out.is_empty(), "{said:?}");
    for (subcommand, more) in [("ls", &[][..]), ("rm", &["id"]), ("get", &["id"])] {
        failed(client(&url, subcommand, &[&["--retry", "0s"], more].concat()), 1, &["cannot reach", "refused"]);
    }
    failed(client("http://no-such-host.invalid", "ls", &["--retry", "0s"]), 1, &["cannot reach"]);
}

#[test]
fn what_answers_and_is_no_portal_is_told() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>");
        }
    });
    failed(client(&url, "ls", &[]), 1, &["does not answer like a portal"]);
    failed(client(&url, "get", &["id"]), 1, &["does not answer like a portal"]);
}

#[test]
fn a_flag_wins_over_the_environment_and_a_held_store_names_its_server() {
    let server = Server::start(&[]);
    let file = server.put("name", &Pattern::new(1, 10));
    let mut command = portico(["ls"]);
    command.env("PORTICO_SERVER", format!("http://{}", server.addr)).env("PORTICO_STORE", "file:/nowhere");
    let listed = crate::fixture::run(command);
    assert!(listed.code == Some(0) && listed.out.contains(&file.id), "{listed:?}");
    let mut command = server.store.command("ls");
    command.env("PORTICO_SERVER", "http://127.0.0.1:1");
    let address = format!("http://{}", server.addr);
    failed(command, 1, &["in use", &address, "--server"]);
    server.finish(&[&file]);
}

#[test]
fn a_server_with_tokens_lets_in_who_shows_one() {
    const TOKEN: &str = "of-the-test-0123456789-0123456789-0123456789";
    let folder = Folder::new();
    let (tokens, other) = (folder.beside("tokens"), folder.beside("other"));
    fs::write(&tokens, TOKEN).and_then(|()| fs::write(&other, format!("{TOKEN}x\n"))).expect("room");
    let (tokens, other) = (tokens.to_str().expect("text"), other.to_str().expect("text"));
    let server = Server::start(&["--token-file", tokens]);
    let url = format!("http://{}", server.addr);
    let content = Pattern::new(1, 200_000);
    let path = file_of(&folder, "file", &content);
    let path = path.to_str().expect("text");
    for more in [&[][..], &["--auth-file", other]] {
        let said =
            failed(client(&url, "put", &[&[path], more].concat()), 1, &["(401)", "PORTICO_TOKEN", "--auth-file"]);
        assert!(!said.err.contains(TOKEN) && !said.err.contains("trying again"), "{said:?}");
    }
    let file = put_told(&done(client(&url, "put", &["--json", "--auth-file", tokens, path])), &content);
    let mut get = client(&url, "get", &[&file.id, "-o", other, "--force"]);
    get.env("PORTICO_TOKEN", TOKEN);
    done(get);
    expect_content(other.as_ref(), &content);
    assert!(!server.log().contains(TOKEN));
    server.finish(&[&file]);
}

#[test]
fn a_token_is_never_in_what_is_said() {
    let folder = Folder::new();
    let token = folder.beside("token");
    fs::write(&token, "secret-of-the-test\n").expect("room");
    let arguments = ["--retry", "0s", "--auth-file", token.to_str().expect("text")];
    let said = failed(client("http://no-such-host.invalid", "ls", &arguments), 1, &["is not https"]);
    assert!(!said.err.contains("secret-of-the-test"), "{said:?}");
}
