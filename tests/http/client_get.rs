//! `portico get`: through cuts and restarts, and what it does to files that are there.

use crate::Store;
use crate::fixture::command::{PATIENCE, Running, client, done, expect_content, failed};
use crate::fixture::relay::{Fate, Relay};
use crate::fixture::{Pattern, Server, Stored, eventually, run};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Stdio;

const MIB: u64 = 1 << 20;

/// A folder of a test.
fn folder(store: &Store) -> PathBuf {
    let folder = store.beside("folder");
    fs::create_dir(&folder).expect("a folder");
    folder
}

fn names(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Waits until an answer is held, and so much of it is there.
fn some_of_it(relay: &Relay, folder: &PathBuf, bytes: u64) -> u64 {
    eventually("some of it", || arrived(folder).filter(|there| *there > bytes && relay.has_happened()))
}

/// What was got so far and is no file yet.
fn arrived(folder: &PathBuf) -> Option<u64> {
    let name = names(folder).into_iter().find(|name| name.ends_with(".part"))?;
    Some(fs::metadata(folder.join(name)).ok()?.len())
}

fn url(server: &Server) -> String {
    format!("http://{}", server.addr)
}

/// Statuses of the answers to GETs of a file.
fn answers(server: &Server, file: &Stored) -> Vec<u64> {
    let exchanges = server.exchanges();
    let gets = exchanges.iter().filter(|exchange| exchange["method"] == "GET" && exchange["path"] == *file.path());
    gets.map(|exchange| exchange["status"].as_u64().expect("a status")).collect()
}

#[test]
fn a_download_that_is_cut_goes_on() {
    let server = Server::start(&["--log-format", "json"]);
    let file = server.put("large", &Pattern::new(1, 24 * MIB));
    let folder = folder(&server.store);
    let target = folder.join("target");
    let relay = Relay::start(server.addr);
    relay.after(5 * MIB, Fate::Cut);
    let command = client(&relay.url(), "get", &["--retry", PATIENCE, &file.id, "-o", target.to_str().expect("text")]);
    let said = run(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(relay.has_happened() && said.err.contains("trying again"), "{said:?}");
    expect_content(&target, &file.content);
    assert_eq!(names(&folder), ["target"]);
    eventually("both answers", || (answers(&server, &file) == [200, 206]).then_some(()));

    // Also where it goes to standard output, which has a part of it already.
    relay.after(5 * MIB, Fate::Cut);
    let mut command = client(&relay.url(), "get", &[&file.id, "-o", "-"]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len() as u64, file.content.size());
    file.content.expect(0, &output.stdout);
    server.finish(&[&file]);
}

#[test]
fn a_client_that_is_killed_leaves_what_the_next_one_goes_on_with() {
    let server = Server::start(&["--log-format", "json"]);
    let file = server.put("large", &Pattern::new(1, 24 * MIB));
    let folder = folder(&server.store);
    let relay = Relay::start(server.addr);
    relay.after(9 * MIB, Fate::Held);
    let command = || client(&relay.url(), "get", &[&file.id, "-o", folder.to_str().expect("text")]);
    let running = Running::start(command());
    let there = some_of_it(&relay, &folder, 4 * MIB);
    assert!(there < file.content.size());
    // One at a time.
    failed(command(), 1, &["another process is writing"]);
    running.signal(Signal::KILL);
    running.wait();
    relay.release();
    let said = run(command());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("transferred already"), "{said:?}");
    assert_eq!(names(&folder), ["large"]);
    expect_content(&folder.join("large"), &file.content);
    eventually("the rest", || answers(&server, &file).contains(&206).then_some(()));
    server.finish(&[&file]);
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_asked_for_the_rest() {
    let mut server = Server::start(&[]);
    let file = server.put("large", &Pattern::new(1, 24 * MIB));
    let folder = folder(&server.store);
    let target = folder.join("target");
    let relay = Relay::start(server.addr);
    relay.after(7 * MIB, Fate::Held);
    let arguments = ["--retry", PATIENCE, &file.id, "-o", target.to_str().expect("text")];
    let running = Running::start(client(&relay.url(), "get", &arguments));
    some_of_it(&relay, &folder, 2 * MIB);
    server.signal(Signal::KILL);
    server.wait();
    relay.release();
    let server = Server::start_on(&server.store, &["--log-format", "json"]);
    relay.lead_to(server.addr);
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    expect_content(&target, &file.content);
    eventually("the rest", || (answers(&server, &file) == [206]).then_some(()));
    server.finish(&[&file]);
}

#[test]
fn nothing_is_replaced_unless_somebody_says_so() {
    let server = Server::start(&[]);
    let file = server.put("name", &Pattern::new(1, 1_000));
    let folder = folder(&server.store);
    let target = folder.join("target");
    fs::write(&target, "mine").expect("room");
    let arguments = [&*file.id, "-o", target.to_str().expect("text")];
    failed(client(&url(&server), "get", &arguments), 1, &["target exists", "--force"]);
    assert_eq!(fs::read(&target).expect("a file"), b"mine");
    done(client(&url(&server), "get", &[&arguments[..], &["--force"]].concat()));
    expect_content(&target, &file.content);

    // Into the folder in which the command is, under its own name.
    let mut command = client(&url(&server), "get", &[&file.id]);
    command.current_dir(&folder);
    assert_eq!(done(command), ["name"]);
    let mut command = client(&url(&server), "get", &[&file.id]);
    command.current_dir(&folder);
    failed(command, 1, &["name exists"]);
    assert_eq!(names(&folder), ["name", "target"]);
    server.finish(&[&file]);
}

#[test]
fn only_a_plain_file_is_replaced() {
    let server = Server::start(&[]);
    let file = server.put("name", &Pattern::new(1, 1_000));
    let folder = folder(&server.store);
    let place = |name: &str| folder.join(name);
    fs::write(place("plain"), "mine").expect("room");
    symlink("plain", place("link")).expect("a link");
    symlink("nothing", place("dangling")).expect("a link");
    rustix::fs::mknodat(rustix::fs::CWD, place("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let _socket = UnixListener::bind(place("socket")).expect("a socket");
    // The one device that anybody may make.
    rustix::fs::mknodat(rustix::fs::CWD, place("device"), rustix::fs::FileType::CharacterDevice, 0o600.into(), 0)
        .expect("a device");
    fs::create_dir_all(place("outer/name")).expect("a folder");
    let kinds = [
        (place("link"), "a symbolic link"),
        (place("dangling"), "a symbolic link"),
        (place("pipe"), "a pipe"),
        (place("socket"), "a socket"),
        // Under its own name into a folder, where a folder is.
        (place("outer"), "a folder"),
        (place("device"), "a device"),
    ];
    let before = names(&folder);
    for (path, kind) in &kinds {
        for force in [&[][..], &["--force"]] {
            let arguments = [&[&*file.id, "-o", path.to_str().expect("text")], force].concat();
            let said = failed(client(&url(&server), "get", &arguments), 1, &[kind, "-o -"]);
            assert!(!said.err.contains("--force"), "{said:?}");
        }
    }
    assert_eq!(names(&folder), before);
    assert_eq!(fs::read(place("plain")).expect("a file"), b"mine");
    for (path, kind) in &kinds {
        assert!(!fs::symlink_metadata(path).expect("what was there").is_file(), "{kind}");
    }
    assert_eq!(names(&place("outer")), ["name"]);
    // A folder may be reached by a link.
    symlink(".", place("here")).expect("a link");
    done(client(&url(&server), "get", &[&file.id, "-o", place("here").to_str().expect("text")]));
    expect_content(&place("name"), &file.content);
    server.finish(&[&file]);
}

#[test]
fn a_name_that_would_hide_is_not_taken() {
    let server = Server::start(&[]);
    let file = server.put(".bashrc", &Pattern::new(1, 0));
    let folder = folder(&server.store);
    let mut command = client(&url(&server), "get", &[&file.id]);
    command.current_dir(&folder);
    done(command);
    assert_eq!(names(&folder), [&*file.id]);
    server.finish(&[&file]);
}

#[test]
fn what_is_damaged_gets_no_name() {
    let server = Server::start(&[]);
    let file = server.put("large", &Pattern::new(1, 4 * MIB));
    let folder = folder(&server.store);
    let target = folder.join("target");
    let relay = Relay::start(server.addr);
    relay.after(2 * MIB, Fate::Held);
    let arguments = [&*file.id, "-o", target.to_str().expect("text")];
    let running = Running::start(client(&relay.url(), "get", &arguments));
    some_of_it(&relay, &folder, MIB);
    running.signal(Signal::KILL);
    running.wait();
    let part = names(&folder).remove(0);
    let there = fs::read(folder.join(&part)).expect("a file");
    fs::write(folder.join(&part), vec![0; there.len()]).expect("room");
    failed(client(&url(&server), "get", &arguments), 1, &["is damaged", "it was discarded"]);
    assert_eq!(names(&folder), [""; 0]);

    // And what is damaged on its way.
    relay.after(2 * MIB, Fate::Damaged);
    failed(client(&relay.url(), "get", &arguments), 1, &["is damaged"]);
    assert_eq!(names(&folder), [""; 0]);
    relay.after(2 * MIB, Fate::Damaged);
    let mut command = client(&relay.url(), "get", &[&file.id, "-o", "-"]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the binary");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is damaged"));

    done(client(&url(&server), "get", &arguments));
    expect_content(&target, &file.content);
    server.finish(&[&file]);
}

#[test]
fn what_is_not_there_cannot_be_got() {
    let server = Server::start(&[]);
    let folder = folder(&server.store);
    let target = folder.join("target");
    let target = target.to_str().expect("text");
    failed(client(&url(&server), "get", &["nothing", "-o", target]), 1, &["nothing: ", "(404)"]);
    let file = server.put("name", &Pattern::new(1, 10));
    done(client(&url(&server), "rm", &[&file.id]));
    failed(client(&url(&server), "get", &[&file.id, "-o", target]), 1, &["(410)"]);
    failed(client(&url(&server), "get", &["../health", "-o", target]), 1, &["is not the id of a file"]);
    let missing = server.store.beside("no/such/folder");
    let other = server.put("name", &Pattern::new(1, 10));
    failed(client(&url(&server), "get", &[&other.id, "-o", missing.to_str().expect("text")]), 1, &["cannot write"]);
    assert_eq!(names(&folder), [""; 0]);
    server.finish(&[&other]);
}
