//! The commands of `docs/backup.md`, run while files are put and deleted.

use crate::busy::{Busy, Put, expect_restored};
use crate::fixture::{Pattern, Server, Session, run};
use crate::folder::Folder;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CLIENTS: u64 = 3;

/// The commands of a heading of the document, in the order in which they stand there.
fn commands(heading: &str) -> Vec<String> {
    let text = include_str!("../../docs/backup.md");
    let (_, rest) = text.split_once(&format!("\n### {heading}\n")).expect("the heading");
    let section = rest.split("\n#").next().expect("a section");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("an end").to_owned()).collect()
}

/// Runs commands of the document, in which other folders stand.
#[track_caller]
fn run_commands(commands: &str, folder: &Folder) -> String {
    let place = |name: &str| folder.beside(name).display().to_string();
    let commands = commands.replace("/srv/portico", &place("store")).replace("/backup/portico", &place("backup"));
    assert!(!commands.contains("/srv") && !commands.contains(" /backup"), "{commands}");
    let program = Path::new(env!("CARGO_BIN_EXE_portico")).parent().expect("a folder");
    let paths = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).expect("paths");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &commands]).env_clear().env("PATH", paths).stdin(Stdio::null());
    let said = run(shell);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{commands}: {said:?}");
    said.out
}

#[test]
fn the_commands_of_the_document_back_up_a_running_store_and_restore_it() {
    let [back_up, compare] = <[String; 2]>::try_from(commands("Back up")).expect("two commands");
    let [restore] = <[String; 1]>::try_from(commands("Restore")).expect("one block");
    let server = Server::start(&[]);
    let folder = server.store.clone();
    let busy = Busy::default();
    // An upload that goes on all the time, and is not in the backup.
    let session = Session::begin(&server, &Pattern::new(5, 200_000), 65_536);
    assert_eq!(session.try_part(&mut server.connect(), 1, &[]).expect("an answer").head.status, 201);

    let (puts, backups) = std::thread::scope(|scope| {
        let end = busy.until_dropped();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (busy, server) = (&busy, &server);
                scope.spawn(move || busy.client(server, client))
            })
            .collect();
        let mut backups = Vec::new();
        for number in 1..=3 {
            // Enough has been done since the backup before.
            busy.goes_on(60);
            let began = busy.tick();
            let said = run_commands(&back_up, &folder);
            let ended = busy.tick();
            assert!(said.contains(" files are in the backup, "), "{said}");
            let said = run_commands(&compare, &folder);
            assert!(said.contains("all files are as their receipts say"), "{said}");
            assert!(said.contains("and 0 parts") && !said.contains("unknown"), "{said}");
            // That state is kept, as the document says.
            run_commands(&format!("cp -a /backup/portico /backup/portico.{number}"), &folder);
            backups.push((number, began, ended));
        }
        drop(end);
        let puts: BTreeMap<String, Put> = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .map(|put| (put.file.id.clone(), put))
            .collect();
        (puts, backups)
    });
    let mut server = server;
    server.signal(Signal::TERM);
    assert!(server.wait().success());

    for (number, began, ended) in backups {
        run_commands(
            "rm -r /backup/portico; mv /backup/portico.1 /backup/portico".replace(".1", &format!(".{number}")).as_str(),
            &folder,
        );
        let said = run_commands(&restore, &folder);
        assert!(said.contains("all files are as their receipts say"), "{said}");
        let (server, throughout) = expect_restored(&folder, &puts, began..ended, |_| false);
        assert!(throughout > 10, "few files were there throughout: {throughout}");
        // It goes on as a store.
        let file = server.put("after", &Pattern::new(1, 100_000));
        server.expect_file(&file);
        drop(server);
        run_commands("rm -r /srv/portico.broken", &folder);
    }
}

#[test]
fn a_backup_into_something_else_is_refused() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    let store = server.store.clone();
    let back_up = |to: PathBuf| {
        let mut command = store.command("backup");
        command.arg(to);
        run(command)
    };
    let refused = |to: PathBuf, words: &str| {
        let said = back_up(to);
        assert_eq!((said.code, &*said.out), (Some(1), ""), "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    };
    refused(store.root(), "the store itself");
    let thesis = store.beside("thesis");
    std::fs::create_dir(&thesis).expect("a folder");
    std::fs::write(thesis.join("thesis.txt"), "years of work").expect("a file");
    refused(thesis, "not a Portico store");
    let other = Server::start(&[]);
    refused(other.store.root(), "in use by another process");
    let root = other.store.root();
    let another = other.store.clone();
    other.finish(&[]);
    refused(root, "another store");
    another.expect_listing(&[]);
    let said = back_up(store.beside("new/backup"));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("1 files are in the backup, 1 of them new with 1000 bytes"), "{said:?}");

    // One that was killed goes on.
    std::fs::remove_file(store.beside("new/backup/index.sqlite")).expect("an index");
    std::fs::write(store.beside("new/backup/staging/0123456789abcdef0123456789abcdef"), "cut off").expect("a file");
    let said = back_up(store.beside("new/backup"));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("1 files are in the backup, 0 of them new"), "{said:?}");
    let copy = format!("file:{}", store.beside("new/backup").display());
    let said = run(crate::fixture::portico(["check", "--files", "--digests", "--store", &copy]));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(!said.out.contains("belong to uploads"), "{said:?}");

    // What the store has lost is told.
    std::fs::remove_file(store.root().join("final/main").join(&file.id)).expect("a file");
    let said = back_up(store.beside("lossy"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains(&format!("lost by the store, and not in the backup: final/main/{}", file.id)),
        "{said:?}"
    );
    // One that an earlier backup has stays there.
    let said = back_up(store.beside("new/backup"));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    drop(server);

    // One that was opened as a store may have files that no other store has.
    let said = run(crate::fixture::portico(["sweep", "--store", &copy]));
    assert_eq!(said.code, Some(0), "{said:?}");
    refused(store.beside("new/backup"), "a backup that was opened as one");

    let mut bucket = crate::fixture::portico(["backup", "--store", "s3://bucket/prefix"]);
    bucket.arg(store.beside("bucket"));
    let said = run(bucket);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("docs/backup.md"), "{said:?}");
}
