//! `portico check --files`: each row against its file, beside a server and without one.

use crate::fixture::server::Said;
use crate::fixture::session::PART;
use crate::fixture::{Pattern, Server, Session, Stored, run};
use crate::folder::Folder;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn verify(folder: &Folder, flags: &[&str]) -> Said {
    let mut command = folder.command("check");
    command.arg("--files").args(flags);
    run(command)
}

/// Fails unless a comparison finds just these differences. Only unknown files are no fault.
#[track_caller]
fn expect_found(folder: &Folder, flags: &[&str], expected: &[&str]) {
    let before = tree(&folder.root());
    let said = verify(folder, flags);
    assert_eq!(tree(&folder.root()), before, "it changes nothing");
    let words = ["missing: ", "short: ", "long: ", "changed: ", "unreadable: ", "unknown: "];
    let mut found: Vec<&str> =
        said.out.lines().filter(|line| words.iter().any(|word| line.starts_with(word))).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{said:?}");
    let faults = expected.iter().filter(|line| !line.starts_with("unknown: ")).count();
    let closing = match faults {
        0 => "all files are as their receipts say".to_owned(),
        count => format!("{count} files or parts are not as their receipts say"),
    };
    assert_eq!(said.out.lines().last(), Some(&*closing), "{said:?}");
    assert_eq!((said.code, &*said.err), (Some(if faults == 0 { 0 } else { 1 }), ""), "{said:?}");
}

/// All names below a folder, with the content of files.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(tree(&path));
        } else {
            let content = fs::read(&path).expect("a file");
            found.push((path, content));
        }
    }
    found.sort();
    found
}

/// Changes a byte.
fn damage(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[!byte[0]], at).expect("room");
}

fn resize(path: &Path, size: u64) {
    OpenOptions::new().write(true).open(path).expect("a file").set_len(size).expect("room");
}

/// A closed store with some files, one that is deleted, and an unfinished upload: four parts in the session's file and one
/// in a file of its own.
fn filled() -> (Arc<Folder>, Vec<Stored>, Session) {
    let server = Server::start(&[]);
    let files: Vec<_> = [0, 1, 1_000, 700_000].map(|size| server.put("a", &Pattern::new(size, size))).into();
    let gone = server.put("gone", &Pattern::new(9, 9));
    assert_eq!(server.ask(&format!("DELETE {}", gone.path()), &[]).head.status, 204);
    let session = Session::begin(&server, &Pattern::new(5, 5 * PART), PART);
    let mut connection = server.connect();
    for number in 1..=5 {
        let stored = session.try_part(&mut connection, number, &[]).expect("an answer");
        assert_eq!(stored.head.status, 201);
    }
    // What was placed once is placed nowhere else.
    assert_eq!(connection.ask(&format!("DELETE {}", session.part_path(3)), &[]).head.status, 204);
    assert_eq!(session.try_part(&mut connection, 3, &[]).expect("an answer").head.status, 201);
    // Beside the server as well.
    let said = verify(&server.store, &["--digests"]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("compared 4 files and 5 parts of unfinished uploads, 1028681 bytes"), "{said:?}");
    let mut server = server;
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait().success());
    (server.store.clone(), files, session)
}

/// The file of the session's own, and that of the part which has one.
fn files_of(folder: &Folder, session: &Session) -> (String, String) {
    let dir = format!("temp/main/{}", session.id);
    let names = fs::read_dir(folder.root().join(&dir)).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let own = names.filter(|name| name != "placed").last().expect("a file");
    (format!("{dir}/placed"), format!("{dir}/{own}"))
}

#[test]
fn each_difference_is_found_and_nothing_is_changed() {
    let (folder, files, session) = filled();
    let root = folder.root();
    let path = |file: &Stored| format!("final/main/{}", file.id);
    let (placed, own) = files_of(&folder, &session);
    for flags in [&[][..], &["--digests"]] {
        expect_found(&folder, flags, &[]);
    }

    // Content that has changed shows by its digest alone.
    damage(&root.join(path(&files[3])), 500_000);
    damage(&root.join(&placed), PART + 7);
    damage(&root.join(&own), 0);
    expect_found(&folder, &[], &[]);
    let changed = [
        format!("changed: {}, its digest is not that of its receipt", path(&files[3])),
        format!("changed: {placed}, part 2, its digest is not that of its receipt"),
        format!("changed: {own}, part 3, its digest is not that of its receipt"),
    ];
    expect_found(&folder, &["--digests"], &changed.each_ref().map(|line| &**line));

    fs::remove_file(root.join(path(&files[0]))).expect("a file");
    resize(&root.join(path(&files[1])), 2);
    resize(&root.join(path(&files[2])), 999);
    fs::remove_file(root.join(path(&files[3]))).expect("a file");
    fs::create_dir(root.join(path(&files[3]))).expect("a folder");
    resize(&root.join(&placed), 3 * PART + 1);
    resize(&root.join(&own), PART - 1);
    let expected = [
        format!("missing: {}, 0 bytes", path(&files[0])),
        format!("long: {}, 2 bytes in place of 1", path(&files[1])),
        format!("short: {}, 999 bytes in place of 1000", path(&files[2])),
        format!("unreadable: {}, it is no regular file", path(&files[3])),
        format!("short: {placed}, part 4, 1 bytes in place of {PART}"),
        format!("short: {placed}, part 5, 0 bytes in place of {PART}"),
        format!("short: {own}, part 3, {} bytes in place of {PART}", PART - 1),
    ];
    expect_found(&folder, &[], &expected.each_ref().map(|line| &**line));

    // A store that is tried is not compared: it is said that it can be used, and no more.
    fs::remove_dir(root.join(path(&files[3]))).expect("a folder");
    fs::remove_file(root.join(&placed)).expect("a file");
    let said = verify(&folder, &["--digests"]);
    let missing = |number| format!("missing: {placed}, part {number}, {PART} bytes");
    for line in [missing(1), missing(2), missing(4), missing(5), format!("missing: {}, 700000 bytes", path(&files[3]))]
    {
        assert!(said.out.lines().any(|found| found == line), "no {line:?} in {said:?}");
    }
    assert_eq!(said.code, Some(1));
}

#[test]
fn files_that_no_row_names_are_told_apart() {
    let (folder, files, session) = filled();
    let root = folder.root();
    let token = "0123456789abcdef0123456789abcdef";
    // What killed puts leave, the second one between its name and its row.
    fs::write(root.join("staging").join(token), "cut off").expect("a file");
    fs::hard_link(root.join("staging").join(token), root.join("final/main/unpublished")).expect("a link");
    fs::write(root.join(format!("temp/main/{}/{token}", session.id)), "cut off").expect("a file");
    // What the store has not made.
    let unknown = [
        "staging/thesis.txt".to_owned(),
        "final/main/thesis.txt".to_owned(),
        "final/not a scope".to_owned(),
        format!("temp/main/{}/thesis.txt", session.id),
    ];
    for path in &unknown {
        fs::write(root.join(path), "years of work").expect("a file");
    }
    let lines = unknown.each_ref().map(|path| format!("unknown: {path}, no receipt names it"));
    expect_found(&folder, &["--digests"], &lines.each_ref().map(|line| &**line));
    let said = verify(&folder, &[]);
    assert!(said.out.contains("3 files belong to uploads that run or were killed"), "{said:?}");
    assert!(said.out.contains("4 files are named by no receipt"), "{said:?}");
    assert_eq!(files.len(), 4);
}

#[test]
fn it_runs_beside_uploads_and_deletes_and_finds_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let server = Server::start(&[]);
    let done = AtomicBool::new(false);
    let kept = std::thread::scope(|scope| {
        let (server, done) = (&server, &done);
        // Also if this fails.
        let ends = Ends(done);
        let clients: Vec<_> = (0..3)
            .map(|client: u64| {
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for turn in 0..10_000 {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let file = server.put("busy", &Pattern::new(client << 32 | turn, 10_000));
                        if turn % 3 == 0 && kept.len() < 20 {
                            kept.push(file);
                        } else {
                            assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
                        }
                        let content = Pattern::new(turn, 2 * PART);
                        let session = Session::begin(server, &content, PART);
                        let mut connection = server.connect();
                        for number in [2, 1] {
                            session.try_part(&mut connection, number, &[]).expect("an answer");
                        }
                        if turn % 2 == 0 {
                            assert_eq!(connection.ask(&format!("DELETE {}", session.path()), &[]).head.status, 204);
                        } else {
                            let file = Stored::new(&session.finalize(server.addr), &content);
                            assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
                        }
                    }
                    kept
                })
            })
            .collect();
        for _ in 0..5 {
            let said = verify(&server.store, &["--digests"]);
            assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
            assert!(!said.out.contains("unknown: "), "{said:?}");
        }
        drop(ends);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    server.finish(&kept.iter().collect::<Vec<_>>());
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = Folder::new();
    let refused = |words: &str| {
        let said = verify(&folder, &[]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    };
    refused("No such file");
    assert!(!folder.root().exists());
    fs::create_dir(folder.root()).expect("a folder");
    refused("not a Portico store");
    let (folder, ..) = filled();
    fs::write(folder.root().join("index.sqlite"), "no index").expect("a file");
    let said = verify(&folder, &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("check --rebuild"), "{said:?}");
}
