//! Whether a store takes puts: what `/ready`, `check` and the start of a server notice when it does not.

use crate::fixture::server::Said;
use crate::fixture::{Pattern, Server, eventually, run};
use crate::folder::Folder;
use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{
    Backend, Error, FileId, FinalOptions, PartOptions, RecordName, Scope, SessionId, put_final, put_part, stream,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The command as somebody whom permissions concern: of root, they ask for that capability.
fn unprivileged(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut plain = Command::new(command.get_program());
        plain.args(command.get_args()).env_clear();
        return plain;
    }
    let mut without = Command::new("setpriv");
    let capabilities = "-dac_override,-dac_read_search";
    without.args([format!("--bounding-set={capabilities}"), format!("--inh-caps={capabilities}")]);
    without.arg(command.get_program()).args(command.get_args()).env_clear();
    without
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a folder of ours");
}

/// Waits until `/ready` answers that. Its answer is kept for a moment.
#[track_caller]
fn expect_ready(server: &Server, ready: bool) {
    eventually("a change of /ready", || {
        let response = server.ask("GET /ready", &[]);
        let status = response.head.status;
        assert!(matches!(status, 200 | 503), "{response:?}");
        (status == if ready { 200 } else { 503 }).then_some(())
    });
}

#[track_caller]
fn expect_words(said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(!said.out.contains("writing, reading"), "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "no {word:?} in {said:?}");
    }
}

#[test]
fn a_server_whose_store_is_taken_away_is_not_ready() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    expect_ready(&server, true);
    let root = server.store.root();
    let aside = server.store.beside("aside");
    for name in ["", "final", "staging", "temp", "index.sqlite", "index.sqlite-wal"] {
        let path = if name.is_empty() { root.clone() } else { root.join(name) };
        fs::rename(&path, &aside).expect("a name");
        expect_ready(&server, false);
        if !name.starts_with("index") {
            // One that is empty is not the one that was there.
            fs::create_dir(&path).or_else(|_| fs::metadata(&path).map(drop)).expect("a folder");
            expect_ready(&server, false);
            fs::remove_dir_all(&path).expect("a folder");
        }
        fs::rename(&aside, &path).expect("a name");
        expect_ready(&server, true);
        let log = server.log_with(&path.display().to_string());
        assert!(log.contains("the store is not ready"), "{name}: {log}");
    }
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn folders_that_cannot_be_written_to_are_noticed_and_named() {
    let folder = Arc::new(Folder::new());
    let mut command = folder.command("serve");
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(unprivileged(&command), &folder);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    expect_ready(&server, true);
    let root = folder.root();
    let folders = ["staging", "final/main", "temp/main"];
    for name in folders {
        permit(&root.join(name), 0o555);
        expect_ready(&server, false);
        permit(&root.join(name), 0o755);
        expect_ready(&server, true);
        server.log_with(&root.join(name).display().to_string());
    }
    server.finish(&[&file]);

    // Nor is such a store opened, or taken for good.
    for name in ["staging", "final", "final/main", "temp", "temp/main"] {
        let path = root.join(name);
        let is_above = ["final", "temp"].contains(&name);
        if is_above {
            fs::rename(path.join("main"), folder.beside("main")).expect("a folder");
        }
        permit(&path, 0o555);
        for subcommand in ["check", "serve"] {
            let mut command = folder.command(subcommand);
            if subcommand == "serve" {
                command.args(["--listen", "127.0.0.1:0"]);
            }
            let words = ["nothing can be stored in", "denied", &path.display().to_string(), "Permission denied"];
            expect_words(&run(unprivileged(&command)), &words);
        }
        permit(&path, 0o755);
        if is_above {
            fs::rename(folder.beside("main"), path.join("main")).expect("a folder");
        }
    }
    let said = run(unprivileged(&folder.command("check")));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    folder.expect_files(&[&file]);
    folder.expect_listing(&[&file]);
}

#[test]
fn a_check_leaves_nothing_and_removes_what_a_killed_one_has_left() {
    let folder = Folder::new();
    let options = LocalOptions { durability: Durability::None, ..LocalOptions::default() };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let scope = Scope::root().narrow("portico-check").expect("a scope");
    // The time in its names is long over.
    let name = "1-0123456789abcdef0123456789abcdef";
    tokio.block_on(async {
        let store = LocalStore::open(&folder.root(), options.clone()).await.expect("a store");
        let content = || stream::from_bytes("left behind");
        let (file, session) = (FileId::parse(name).expect("an id"), SessionId::parse(name).expect("an id"));
        put_final(&store, &scope, &file, &mut content(), FinalOptions::default()).await.expect("an object");
        put_part(&store, &scope, &session, 1, &mut content(), PartOptions::default()).await.expect("a part");
        let record = RecordName::parse(name).expect("a name");
        store.create_record(&scope, &record, b"left behind").await.expect("a record");
    });
    assert_eq!(folder.leftovers().len(), 1);
    let said = run(folder.command("check"));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    folder.expect_files(&[]);
    folder.expect_listing(&[]);
    tokio.block_on(async {
        let store = LocalStore::open(&folder.root(), options).await.expect("a store");
        let gone = store.stat_final(&scope, &FileId::parse(name).expect("an id")).await;
        assert!(matches!(gone, Err(Error::NotFound)), "{gone:?}");
        assert_eq!(store.list_records(&scope, "", None, 10).await.expect("a listing").entries, []);
    });
}
