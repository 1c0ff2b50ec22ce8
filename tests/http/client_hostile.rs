//! The client before a server that is no portal and means harm: it fails with a reason, in time and in little memory.

use crate::fixture::command::{client, done, failed, file_of};
use crate::fixture::{Pattern, portico};
use crate::folder::Folder;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

/// A server that answers each request, of which it knows method and path, with these bytes, and closes the connection.
pub(crate) struct Portal(SocketAddr);

impl Portal {
    pub(crate) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Portal {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let answer = std::sync::Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                // A client that has enough of it goes in the middle.
                std::thread::spawn(move || _ = serve(&stream, &*answer));
            }
        });
        Portal(addr)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0)
    }

    /// A successful answer with a document.
    pub(crate) fn json(document: &Value) -> Vec<u8> {
        with_body("200 OK", &[], document.to_string().as_bytes())
    }
}

fn with_body(status: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    fields.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    [(head + "\r\n").as_bytes(), body].concat()
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let mut stream = stream;
    stream.write_all(&answer(first.trim_end()))
}

/// Most memory that a command may take, in bytes: much more than it takes, and much less than a server may ask for.
const MEMORY: u64 = 512 << 20;

/// The same command with its memory limited, so that one that takes what it is told to dies of it.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--data={MEMORY}")).arg(command.get_program()).args(command.get_args()).env_clear();
    limited
}

/// A session as a server may tell it.
fn session(members: &Value) -> Value {
    let mut session = json!({
        "session_id": "0123456789abcdef0123456789abcdef", "status": "IN_PROGRESS", "total_size_bytes": 0,
        "chunk_size_bytes": 1, "total_parts": 0, "received_parts": [],
    });
    session.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    session
}

#[test]
fn what_makes_no_sense_is_an_error_and_takes_no_memory() {
    let folder = Folder::new();
    let content = Pattern::new(1, 100);
    let path = file_of(&folder, "file", &content);
    // As large as a server may say that it is, and without content.
    let huge = folder.beside("huge");
    std::fs::File::create(&huge).and_then(|file| file.set_len((1 << 32) - 1)).expect("a sparse file");
    let parts_of = |size: u64, members: Value| {
        let mut told = session(&json!({ "total_size_bytes": size, "total_parts": size }));
        told.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        told
    };
    for (path, told) in [
        // A set of all numbers that there are.
        (&huge, parts_of((1 << 32) - 1, json!({}))),
        (&huge, parts_of((1 << 32) - 1, json!({ "received_parts": [[1, 4_294_967_294_u32]] }))),
        (&path, parts_of(100, json!({ "received_parts": [[1, 1_u64 << 63]] }))),
        (&path, parts_of(100, json!({ "received_parts": [[1, 101]] }))),
        (&path, parts_of(100, json!({ "received_parts": vec![[1, 100]; 100_000] }))),
        (&path, parts_of(100, json!({ "chunk_size_bytes": 0 }))),
        (&path, parts_of(100, json!({ "total_parts": -1 }))),
        (&path, parts_of(100, json!({ "session_id": "../../health" }))),
        (&path, parts_of(100, json!({ "session_id": "x".repeat(70_000) }))),
        (&path, parts_of(100, json!({ "status": format!("\u{1b}[2J{}", "x".repeat(100_000)) }))),
        (&path, json!({})),
        (&path, json!([])),
    ] {
        let portal = Portal::start(move |_| Portal::json(&told));
        let command = limited(&client(&portal.url(), "put", &["--retry", "0s", path.to_str().expect("text")]));
        let said = failed(command, 1, &["does not answer like a portal"]);
        assert!(said.err.len() < 2_000 && !said.err.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn a_cursor_leads_nowhere_it_must_not() {
    for (next, words) in [
        (json!("x".repeat(70_000)), "a cursor of more than"),
        (json!("\u{0}\r\nX: y"), "leads back to it"),
        (json!(7), "invalid type"),
    ] {
        let portal = Portal::start(move |_| Portal::json(&json!({ "files": [], "next": next })));
        failed(client(&portal.url(), "ls", &[]), 1, &[words]);
    }
}

#[test]
fn documents_and_heads_without_an_end_are_not_waited_for() {
    let endless = |head: &'static str, piece: String| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let piece = piece.clone();
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4_096]);
                    let _ = stream.write_all(head.as_bytes());
                    while stream.write_all(piece.as_bytes()).is_ok() {}
                });
            }
        });
        url
    };
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4_096));
    let field = "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
    for (head, piece, words) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk, "a document of more than"),
        ("HTTP/1.1 200 OK\r\n", &field.repeat(100), "was lost"),
        ("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk, "(500)"),
    ] {
        let url = endless(head, piece.clone());
        let command = limited(&client(&url, "ls", &["--retry", "0s"]));
        failed(command, 1, &[words]);
    }
    // A document that is deep, and one that has very much in it.
    let file =
        |more: &str| format!("{{\"files\":[{{\"file_id\":\"x\",\"size_bytes\":1,\"sha256\":\"00\",\"x\":{more}}}]}}");
    let body = file(&"[".repeat(1 << 20));
    let portal = Portal::start(move |_| with_body("200 OK", &[], body.as_bytes()));
    failed(limited(&client(&portal.url(), "ls", &[])), 1, &["does not answer like a portal"]);
    let body = file(&format!("[{}1]", "1,".repeat(2_000_000)));
    let portal = Portal::start(move |_| with_body("200 OK", &[], body.as_bytes()));
    assert_eq!(done(limited(&client(&portal.url(), "ls", &[]))).len(), 2);
}

#[test]
fn an_answer_that_is_no_success_is_told_in_short() {
    let title = "\u{1b}[2J\u{202e}".to_owned() + &"x".repeat(20_000);
    for (status, retry_after) in [("404 Not Found", "1"), ("503 Busy", "18446744073709551615"), ("503 Busy", "-1")] {
        let body = json!({ "title": title, "detail": title, "field": title }).to_string();
        let answer = with_body(status, &[("Retry-After", retry_after)], body.as_bytes());
        let portal = Portal::start(move |_| answer.clone());
        let said = failed(client(&portal.url(), "ls", &["--retry", "0s"]), 1, &[&status[..3]]);
        assert!(said.err.len() < 5_000, "{} bytes", said.err.len());
        assert!(!said.err.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }
}

#[test]
fn what_a_server_says_of_a_file_is_checked() {
    let digest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    for (length, etag, repr, words) in [
        ("18446744073709551616", "\"a\"", digest, ""),
        ("-1", "\"a\"", digest, ""),
        ("0", "a", digest, "a strong ETag"),
        ("0", "\"a\"", "sha-256=:AAAA:", "a Repr-Digest"),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\nETag: {etag}\r\nRepr-Digest: {repr}\r\n\r\n"
        );
        let portal = Portal::start(move |_| head.clone().into_bytes());
        failed(client(&portal.url(), "get", &["--retry", "0s", "id", "-o", "-"]), 1, &[words]);
    }
    // A file as large as a number can be is not made room for.
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\nETag: \"a\"\r\nRepr-Digest: {digest}\r\n\r\nabc",
        u64::MAX >> 1
    );
    let portal = Portal::start(move |first| match first.starts_with("HEAD") {
        true => head.split_inclusive("\r\n\r\n").next().expect("a head").as_bytes().to_vec(),
        false => head.clone().into_bytes(),
    });
    let folder = Folder::new();
    let target = folder.beside("target");
    let arguments = ["--retry", "0s", "id", "-o", target.to_str().expect("text")];
    failed(limited(&client(&portal.url(), "get", &arguments)), 1, &["was lost"]);
    assert!(!target.exists());
}

#[test]
fn an_id_that_a_server_tells_is_no_path() {
    // The digest is another one, so the client would remove the file again.
    let receipt = json!({ "file_id": "../uploads/sessions/x", "size_bytes": 0, "sha256": "00" });
    let portal = Portal::start(move |first| {
        assert!(!first.starts_with("DELETE"), "{first}");
        Portal::json(&receipt)
    });
    let said = crate::fixture::run(portico(["put", "--server", &portal.url(), "-"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("an invalid file id"), "{said:?}");
}
