//! How commands end: by signals, and where nobody reads what they say.

use crate::client_hostile::Portal;
use crate::fixture::command::{client, done, file_of, put_told};
use crate::fixture::{Pattern, Server, Stored, eventually, portico};
use crate::folder::Folder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

#[test]
fn a_signal_ends_it_in_order_and_the_next_one_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let store = Folder::new();
        let content = Pattern::new(1, 600 << 16);
        let path = file_of(&store, "file", &content);
        let put = || {
            let mut put = store.command("put");
            put.args(["--json", "--part-size", "64KiB"]).arg(&path);
            put
        };
        let child = put().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary");
        eventually("something of it", || (!store.leftovers().is_empty()).then_some(()));
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let output = child.wait_with_output().expect("its end");
        // It dies of the signal, so that a shell stops what it runs; the shell calls it 128 and the number.
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert_eq!(output.stderr, b"portico: stopped by a signal\n", "{output:?}");
        let file = put_told(&done(put()), &content);
        store.expect_files(&[&file]);
        store.expect_listing(&[&file]);
    }
}

#[test]
fn nohup_keeps_a_server_when_its_terminal_goes() {
    let store = Arc::new(Folder::new());
    let serve = store.command("serve");
    let mut command = Command::new("nohup");
    command.arg(serve.get_program()).args(serve.get_args()).args(["--listen", "127.0.0.1:0"]);
    command.env_clear().stdin(Stdio::null());
    let server = Server::spawn(command, &store);
    server.signal(Signal::HUP);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    server.signal(Signal::HUP);
    server.expect_file(&file);
    server.finish(&[&file]);
}

/// A page of files that has a next one.
fn endless_page() -> Vec<u8> {
    let file = |_| json!({ "file_id": "x".repeat(32), "size_bytes": 1, "sha256": "00", "original_filename": "name" });
    let next = format!("{:x}", random());
    Portal::json(&json!({ "files": (0..500).map(file).collect::<Vec<_>>(), "next": next }))
}

/// A number that is another one each time.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}

/// Runs a command whose results nobody reads.
fn unread(mut command: Command) -> Output {
    let (_, writer) = std::io::pipe().expect("a pipe");
    let output = command.stdout(writer).stderr(Stdio::piped()).output();
    output.expect("the binary")
}

#[test]
fn a_list_ends_without_a_word_when_nobody_reads_on() {
    let portal = Portal::start(|_| endless_page());
    for more in [&[][..], &["--json"]] {
        let mut command = client(&portal.url(), "ls", more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        // As head(1) does.
        let mut out = child.stdout.take().expect("a pipe");
        std::io::Read::read_exact(&mut out, &mut [0; 1_000]).expect("a list");
        drop(out);
        let output = child.wait_with_output().expect("its end");
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{output:?}");
    }
}

#[test]
fn a_list_that_is_not_read_can_be_ended() {
    let portal = Portal::start(|_| endless_page());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = client(&portal.url(), "ls", &[]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the binary");
    drop(command);
    // Its write waits when the pipe is full.
    let mut before = 0;
    eventually("a full pipe", || {
        let now = rustix::io::ioctl_fionread(&reader).expect("a pipe");
        let is_full = now >= 60 << 10 && now == before;
        before = now;
        is_full.then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()), "{output:?}");
}

#[test]
fn work_is_done_and_told_by_the_code_where_nobody_reads_its_results() {
    let store = Folder::new();
    let contents = [Pattern::new(1, 100_000), Pattern::new(2, 1_000)];
    let paths = [0, 1].map(|at| file_of(&store, &format!("file {at}"), &contents[at]));
    let quiet = |command, code: i32| {
        let output = unread(command);
        assert_eq!((output.status.code(), &*output.stderr), (Some(code), &b""[..]), "{output:?}");
    };
    let with = |subcommand: &str, arguments: &[&str]| {
        let mut command = store.command(subcommand);
        command.args(arguments);
        command
    };
    for more in [&[][..], &["--json", "--again"]] {
        let mut put = with("put", more);
        put.args(&paths);
        quiet(put, 0);
    }
    let mut put = with("put", &["--again"]);
    put.arg(store.beside("nothing")).arg(&paths[1]);
    let output = unread(put);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing: No such file"), "{output:?}");

    // All of them were put.
    let lines = done(with("ls", &["--json"]));
    let listed: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut sizes: Vec<_> = listed.iter().map(|file| file["size_bytes"].as_u64().expect("a size")).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1_000, 1_000, 1_000, 100_000, 100_000]);
    let of = |size: u64| {
        let file = listed.iter().find(|file| file["size_bytes"] == size).expect("a file");
        file["file_id"].as_str().expect("an id").to_owned()
    };
    quiet(with("get", &[&of(100_000), "-o", "-"]), 0);
    quiet(with("ls", &[]), 0);
    quiet(with("check", &[]), 0);
    quiet(with("sweep", &[]), 0);
    quiet(with("rm", &[&of(100_000), &of(1_000)]), 0);
    quiet(with("rm", &["--json", "--force", &of(100_000)]), 0);
    let lines = done(with("ls", &["--json"]));
    assert_eq!(lines.len(), 3);

    for arguments in [&["--help"][..], &["serve", "--help"], &["--version"], &["man"], &["completions", "bash"]] {
        quiet(portico(arguments), 0);
    }
}

#[test]
fn a_list_without_room_is_a_failure() {
    let server = Server::start(&[]);
    let file: Stored = server.put("name", &Pattern::new(1, 10));
    let url = format!("http://{}", server.addr);
    for (subcommand, more) in [("ls", &[][..]), ("get", &[&*file.id, "-o", "-"])] {
        let mut command = client(&url, subcommand, more);
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
        let output = command.stdout(full).stderr(Stdio::piped()).output().expect("the binary");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
    }
    server.finish(&[&file]);
}
