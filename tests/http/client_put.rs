//! `portico put`: against a server and in its own process, through cuts, and of files that do not stand still.

use crate::Store;
use crate::fixture::command::{
    Acknowledged, Running, client, done, expect_content, failed, file_of, last_event, parts_done, put_told,
};
use crate::fixture::relay::{Fate, Relay};
use crate::fixture::{Pattern, Server, Stored, eventually, portico, run};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::sync::Arc;

const KIB: u64 = 1 << 10;
/// Size of parts, as `--part-size` has it.
const PART: u64 = 64 * KIB;

/// A server whose log tells each exchange.
fn server() -> Server {
    Server::start(&["--log-format", "json"])
}

fn url(server: &Server) -> String {
    format!("http://{}", server.addr)
}

#[test]
fn files_of_all_sizes_go_there_and_come_back() {
    let server = server();
    let sizes = [0, 1, PART - 1, PART, PART + 1, 9 * PART + 5, (5 << 20) + 1];
    let contents: Vec<Pattern> = (1..).zip(sizes).map(|(seed, size)| Pattern::new(seed, size)).collect();
    let mut files = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let path = file_of(&server.store, &format!("file {number}"), content);
        let path = path.to_str().expect("text");
        let more: &[&str] = if number % 2 == 0 { &["--part-size", "64KiB"] } else { &["--parallel", "1"] };
        files.push(put_told(&done(client(&url(&server), "put", &[&["--json", path], more].concat())), content));
    }
    for file in &files {
        server.expect_file(file);
        let target = server.store.beside(&file.id);
        let told = done(client(&url(&server), "get", &[&file.id, "-o", target.to_str().expect("text")]));
        assert_eq!(told, [target.to_str().expect("text")]);
        expect_content(&target, &file.content);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn without_a_server_the_portal_is_in_the_commands_own_process() {
    let store = Arc::new(Store::new());
    let contents = [Pattern::new(1, 3 * PART + 7), Pattern::new(2, 0)];
    let paths = contents.each_ref().map(|content| file_of(&store, &format!("{}.bin", content.size()), content));
    let mut put = store.command("put");
    put.args(&paths);
    let lines = done(put);
    let files: Vec<Stored> = lines
        .iter()
        .zip(&paths)
        .zip(&contents)
        .map(|((line, path), content)| {
            let (id, name) = line.split_once("  ").expect("an id and a name");
            assert_eq!(name, path.to_str().expect("text"));
            Stored { id: id.to_owned(), content: content.clone() }
        })
        .collect();
    assert_eq!(files.len(), 2);
    let target = store.beside("got");
    let mut get = store.command("get");
    get.arg(&files[0].id).arg("-o").arg(&target);
    done(get);
    expect_content(&target, &contents[0]);
    let listed = done(store.command("ls"));
    assert!(listed.iter().any(|line| line.contains(&files[1].id) && line.ends_with(".bin")), "{listed:?}");
    let mut remove = store.command("rm");
    remove.arg(&files[1].id);
    assert_eq!(done(remove), [format!("removed {}", files[1].id)]);
    store.expect_files(&[&files[0]]);
    store.expect_listing(&[&files[0]]);
}

#[test]
fn what_was_put_before_is_not_sent_again_unless_it_has_changed_or_somebody_says_so() {
    let server = server();
    let content = Pattern::new(1, 5 * PART);
    let path = file_of(&server.store, "file", &content);
    let arguments = ["--json", "--part-size", "64KiB", path.to_str().expect("text")];
    let put = |more: &[&str]| done(client(&url(&server), "put", &[&arguments, more].concat()));
    let first = put_told(&put(&[]), &content);
    let sent = server.exchanges().len();

    let again = put(&[]);
    assert_eq!(
        (put_told(&again, &content).id, &last_event(&again, "done")["was_there"]),
        (first.id.clone(), &true.into())
    );
    let since = server.exchanges().split_off(sent);
    assert!(since.iter().all(|exchange| exchange["method"] != "PUT"), "{since:?}");

    let another = put_told(&put(&["--again"]), &content);
    assert_ne!(another.id, first.id);
    let named = put_told(&put(&["--name", "other"]), &content);
    assert_ne!(named.id, first.id);

    // Of another time it is another file, also where the content is the same.
    OpenOptions::new().write(true).open(&path).expect("a file").set_modified(std::time::UNIX_EPOCH).expect("a time");
    let touched = put_told(&put(&[]), &content);
    assert!(![&first.id, &another.id, &named.id].contains(&&touched.id));
    // And of other content it is, also where nobody could see it by the time.
    let changed = Pattern::new(2, 5 * PART);
    let file = OpenOptions::new().write(true).open(&path).expect("a file");
    file.write_all_at(&changed.pieces().collect::<Vec<_>>().concat(), 0).expect("room");
    file.set_modified(std::time::UNIX_EPOCH).expect("a time");
    let other = put_told(&put(&[]), &changed);

    // One that was removed is made anew.
    done(client(&url(&server), "rm", &[&other.id]));
    let anew = put_told(&put(&[]), &changed);
    assert_ne!(anew.id, other.id);
    server.finish(&[&first, &another, &named, &touched, &anew]);
}

#[test]
fn a_server_that_cuts_files_otherwise_knows_what_was_put_before() {
    let mut server = server();
    let content = Pattern::new(1, 5 * PART);
    let path = file_of(&server.store, "file", &content);
    let put = |server: &Server| done(client(&url(server), "put", &["--json", path.to_str().expect("text")]));
    let first = put_told(&put(&server), &content);
    server.signal(Signal::TERM);
    assert!(server.wait().success());

    let server = Server::start_on(&server.store, &["--log-format", "json", "--part-size", "64KiB"]);
    let again = put(&server);
    let told = (put_told(&again, &content).id, &last_event(&again, "done")["was_there"]);
    assert_eq!(told, (first.id.clone(), &true.into()));
    assert!(server.exchanges().iter().all(|exchange| exchange["method"] != "PUT"), "{:?}", server.exchanges());
    server.finish(&[&first]);
}

#[test]
fn a_client_that_is_killed_leaves_a_session_that_the_next_one_goes_on_with() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 120 * PART + 3);
    let path = file_of(&server.store, "file", &content);
    let arguments = ["--json", "--part-size", "64KiB", "--parallel", "1", path.to_str().expect("text")];
    let put = || client(&relay.url(), "put", &arguments);
    let mut acknowledged = Acknowledged::default();
    let mut seen = 0;
    for round in 1..=3 {
        // A held answer keeps the client from coming to its end before it is killed.
        relay.after(3_000 * round, Fate::Held);
        let running = Running::start(put());
        eventually("some parts", || relay.has_happened().then_some(()));
        running.signal(Signal::KILL);
        running.wait();
        relay.release();
        // What the server was still at is over when it has told of it; it may go well without anybody having waited.
        eventually("the end of all exchanges", || {
            let exchanges = server.exchanges();
            let begun = exchanges.len();
            std::thread::sleep(std::time::Duration::from_millis(50));
            (server.exchanges().len() == begun).then_some(())
        });
        let exchanges = server.exchanges();
        acknowledged.follow(&exchanges[seen..]);
        seen = exchanges.len();
    }
    let lines = done(put());
    let begin: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(begin["event"], "begin");
    // Some may have arrived without that anybody was left to be told.
    let there = begin["already_bytes"].as_u64().expect("bytes") / PART;
    assert!(there >= acknowledged.0.len() as u64 && there < 121, "{begin} after {acknowledged:?}");
    let file = put_told(&lines, &content);
    let last = server.exchanges().split_off(seen);
    acknowledged.follow(&last);
    assert_eq!(parts_done(&last) as u64, 121 - there);
    server.finish(&[&file]);
}

#[test]
fn what_an_earlier_run_sent_of_other_content_is_not_taken_for_this() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 100 * PART);
    let path = file_of(&server.store, "file", &content);
    let put = || client(&relay.url(), "put", &["--json", "--part-size", "64KiB", path.to_str().expect("text")]);
    // A held answer keeps the client from coming to its end before it is killed.
    relay.after(2_000, Fate::Held);
    let running = Running::start(put());
    eventually("some parts", || relay.has_happened().then_some(()));
    running.signal(Signal::KILL);
    running.wait();
    relay.release();
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    let other = Pattern::new(2, content.size());
    let file = OpenOptions::new().write(true).open(&path).expect("a file");
    file.write_all_at(&other.pieces().collect::<Vec<_>>().concat(), 0).expect("room");
    file.set_modified(modified).expect("a time");
    let file = put_told(&done(put()), &other);
    server.finish(&[&file]);
}

#[test]
fn a_session_that_is_aborted_meanwhile_is_begun_anew() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 40 * PART);
    let path = file_of(&server.store, "file", &content);
    relay.after(2_000, Fate::Held);
    let running = Running::start(client(
        &relay.url(),
        "put",
        &["--json", "--part-size", "64KiB", "--parallel", "1", path.to_str().expect("text")],
    ));
    eventually("some parts", || relay.has_happened().then_some(()));
    let session = server.exchanges().iter().find_map(|exchange| {
        let path = exchange["path"].as_str()?;
        path.split_once("/parts/").map(|(session, _)| session.to_owned())
    });
    assert_eq!(server.ask(&format!("DELETE {}", session.expect("a session")), &[]).head.status, 204);
    relay.release();
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    let file = put_told(&lines, &content);
    server.finish(&[&file]);
}

#[test]
fn two_clients_that_put_one_file_at_once_make_one_file() {
    let server = server();
    let content = Pattern::new(1, 100 * PART + 1);
    let path = file_of(&server.store, "file", &content);
    let put = || client(&url(&server), "put", &["--json", "--part-size", "64KiB", path.to_str().expect("text")]);
    let files = [Running::start(put()), Running::start(put())].map(|running| {
        let said = running.wait();
        assert_eq!(said.code, Some(0), "{said:?}");
        put_told(&said.out.lines().map(str::to_owned).collect::<Vec<_>>(), &content)
    });
    assert_eq!(files[0].id, files[1].id);
    server.finish(&[&files[0]]);
}

#[test]
fn a_part_that_is_damaged_on_its_way_is_refused_and_sent_again() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 10 * PART);
    let path = file_of(&server.store, "file", &content);
    // Within the first part, behind everything that is not content.
    relay.after(PART / 2, Fate::DamagedRequest);
    let lines = done(client(&relay.url(), "put", &["--json", "--part-size", "64KiB", path.to_str().expect("text")]));
    assert!(relay.has_happened());
    let file = put_told(&lines, &content);
    let refused = server.exchanges().iter().filter(|exchange| exchange["status"] == 422).count();
    assert_eq!(refused, 1);
    server.finish(&[&file]);
}

#[test]
fn an_upload_goes_on_where_its_connections_are_cut() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 60 * PART);
    let path = file_of(&server.store, "file", &content);
    let arguments = ["--json", "--part-size", "64KiB", "--parallel", "3", path.to_str().expect("text")];
    let mut running = Running::start(client(&relay.url(), "put", &arguments));
    // In the middle of answers, and so after what they tell was done.
    let mut cuts = 0;
    while running.is_running() {
        if relay.has_happened() {
            relay.after(200 + 97 * cuts, Fate::Cut);
            cuts += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(cuts > 1, "{said:?}");
    let lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    let file = put_told(&lines, &content);
    Acknowledged::default().follow(&server.exchanges());
    server.finish(&[&file]);
}

#[test]
fn a_file_that_is_changed_while_it_is_sent_is_not_stored() {
    let server = server();
    let relay = Relay::start(server.addr);
    let content = Pattern::new(1, 100 * PART);
    let path = file_of(&server.store, "file", &content);
    let put = || client(&relay.url(), "put", &["--part-size", "64KiB", path.to_str().expect("text")]);
    relay.after(2_000, Fate::Held);
    let running = Running::start(put());
    eventually("some parts", || relay.has_happened().then_some(()));
    OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"more")).expect("room");
    relay.release();
    let said = running.wait();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("was changed while it was sent") && said.out.is_empty(), "{said:?}");
    eventually("the end of the session", || {
        server
            .exchanges()
            .iter()
            .any(|exchange| exchange["method"] == "DELETE" && exchange["status"] == 204)
            .then_some(())
    });
    // The same way to a shorter one.
    OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(100 * PART)).expect("a file");
    relay.after(2_000, Fate::Held);
    let running = Running::start(put());
    eventually("some parts", || relay.has_happened().then_some(()));
    OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(PART)).expect("a file");
    relay.release();
    let said = running.wait();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("was changed while it was sent"), "{said:?}");
    server.finish(&[]);
}

#[test]
fn names_are_kept_and_those_that_cannot_be_are_refused() {
    let server = server();
    let content = Pattern::new(1, 10);
    let mut files = Vec::new();
    for name in ["a b.txt", "quote\"d", "back\\slash", "naïve ☃", "100%41", "\u{202e}cod.exe", "..."] {
        let path = file_of(&server.store, name, &content);
        let lines = done(client(&url(&server), "put", &["--json", path.to_str().expect("text")]));
        assert_eq!(last_event(&lines, "done")["receipt"]["original_filename"], name);
        files.push(put_told(&lines, &content));
    }
    let typed = file_of(&server.store, "page.html", &content);
    let typed = typed.to_str().expect("text");
    for (more, kind) in [(&[][..], "text/html"), (&["--type", "text/x-mine"], "text/x-mine")] {
        let lines = done(client(&url(&server), "put", &[&["--json", typed], more].concat()));
        assert_eq!(last_event(&lines, "done")["receipt"]["content_type"], kind);
        files.push(put_told(&lines, &content));
    }
    // A name that is no text must be given another one.
    let path = server.store.beside("not\u{fffd}text");
    let nameless = path.with_file_name(std::ffi::OsStr::from_bytes(b"not\xfftext"));
    fs::copy(typed, &nameless).expect("a file");
    let mut command = client(&url(&server), "put", &[]);
    command.arg(&nameless);
    failed(command, 1, &["is not UTF-8", "--name"]);
    let mut command = client(&url(&server), "put", &["--json", "--name", "text"]);
    command.arg(&nameless);
    files.push(put_told(&done(command), &content));
    failed(client(&url(&server), "put", &["--name", "a/b", typed]), 1, &["(400)", "original_filename"]);
    failed(client(&url(&server), "put", &["--type", "nonsense", typed]), 1, &["(400)", "content_type"]);
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn of_several_files_those_that_can_be_put_are_put() {
    let server = server();
    let content = Pattern::new(1, 1_000);
    let [one, other] = ["one", "other"].map(|name| file_of(&server.store, name, &content));
    let folder = server.store.beside("folder");
    fs::create_dir(&folder).expect("a folder");
    let pipe = server.store.beside("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let mut command = client(&url(&server), "put", &[]);
    command.arg(&one).arg(&folder).arg(&pipe).arg(server.store.beside("nothing")).arg(&other);
    let said = run(command);
    assert_eq!(said.code, Some(1), "{said:?}");
    for word in ["folder is not a plain file", "pipe is not a plain file", "nothing: No such file"] {
        assert!(said.err.contains(word), "no {word:?} in {said:?}");
    }
    let ids = said.out.lines().map(|line| line.split_once("  ").expect("an id and a name").0);
    let files: Vec<Stored> = ids.map(|id| Stored { id: id.to_owned(), content: content.clone() }).collect();
    assert_eq!(files.len(), 2);
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn standard_input_is_put_in_one_piece() {
    let server = server();
    let content = Pattern::new(1, (3 << 20) + 1);
    let mut command = portico(["put", "--server", &*url(&server), "--json", "--name", "from a pipe", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut stdin = child.stdin.take().expect("a pipe");
    content.pieces().for_each(|piece| stdin.write_all(piece).expect("a reader"));
    drop(stdin);
    let output = child.wait_with_output().expect("a child");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && said.contains("one piece"), "{said}");
    let lines: Vec<String> = String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
    assert_eq!(last_event(&lines, "done")["receipt"]["original_filename"], "from a pipe");
    let file = put_told(&lines, &content);
    server.finish(&[&file]);
}
