//! Tests of the `portico` binary over HTTP on a disk that fails one write and is well again.

#[path = "../fixture/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of `http/main.rs` use the rest")]
mod fixture;
#[path = "../fixture/folder.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of `http/main.rs` use the rest")]
mod folder;

use fixture::session::received;
use fixture::{Pattern, Response, Server, Session, Stored, eventually};
use folder::Folder as Store;
use libtest_mimic::{Arguments, Failed, Trial};
use portico_test_disk::{Disk, Fault};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

/// Size of parts and of files, in bytes.
const SIZE: u64 = 64 << 10;
/// Parts of the session, and the one whose commit fails.
const PARTS: u64 = 3;
const FAILED: u64 = 2;
/// Writes of a put among which that of the index's log is.
const WRITES_MAX: u64 = 12;

fn main() -> ExitCode {
    portico_test_disk::enter_namespace();
    let missing = portico_test_disk::missing();
    // Where such a disk can't be had, people see that this did not run, and CI fails.
    let ignored = missing.is_some() && portico_test_disk::may_be_missing();
    let trial = |name: &str, test: fn()| {
        let name = missing.map_or_else(|| name.to_owned(), |needs| format!("{name}: {needs}"));
        let test = move || match missing {
            None => {
                test();
                Ok(())
            }
            Some(needs) => Err(Failed::from(needs)),
        };
        Trial::test(name, test).with_ignored_flag(ignored)
    };
    let trials =
        vec![trial("after_a_failed_commit_nothing_is_acknowledged_and_nothing_is_lost", after_a_failed_commit)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn unavailable(what: &str, response: &Response) {
    assert_eq!(response.head.status, 503, "{what}: {response:?}");
}

/// A store on a disk of its own, with what was put and a session, of which one part met the fault.
struct Broken {
    server: Server,
    store: Arc<Store>,
    disk: Disk,
    kept: Stored,
    deleted: Stored,
    session: Session,
}

/// Puts a part and fails its write of that number. `None` if that is not the one of the index's log.
fn fail_write(number: u64) -> Option<Broken> {
    let disk = Disk::new().expect("a disk");
    let store = Arc::new(Store::on(&disk.root()));
    let server = Server::start_on(&store, &[]);
    let content = Pattern::new(1, SIZE);
    let (kept, deleted) = (server.put("kept", &content), server.put("deleted", &content));
    assert_eq!(server.ask(&format!("DELETE {}", deleted.path()), &[]).head.status, 204);
    let session = Session::begin(&server, &Pattern::new(2, PARTS * SIZE), SIZE);
    session.put(&server, 1);
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);
    disk.arm(Some(Fault::Write(number)));
    let status = session.part(&server, FAILED).head.status;
    disk.arm(None);
    let log = server.log_with(&format!("path=\"{}\"", session.part_path(FAILED)));
    let is_of_index = log.contains("a commit of the index failed") && !disk.kernel_gave_up();
    if !is_of_index {
        // What is on the disk goes before it.
        drop(server);
        drop(store);
        return None;
    }
    assert_eq!(status, 500, "the commit that failed is not acknowledged");
    // What it answered before is kept for a second.
    eventually("that it is not ready", || (server.ask("GET /ready", &[]).head.status == 503).then_some(()));
    Some(Broken { server, store, disk, kept, deleted, session })
}

fn after_a_failed_commit() {
    let failed = (1..=WRITES_MAX).find_map(fail_write).expect("a put that meets a write of the index");
    let Broken { server, store, mut disk, kept, deleted, session } = failed;
    let content = Pattern::new(1, SIZE);

    // Nobody can tell whether the part is there, so nobody is told that it is not.
    unavailable("a delete of it", &server.ask(&format!("DELETE {}", session.part_path(FAILED)), &[]));
    unavailable("the session", &server.ask(&format!("GET {}", session.path()), &[]));
    unavailable("the same part", &session.part(&server, FAILED));
    let mut connection = server.connect();
    connection.send_put("/files/later", &[], &content);
    unavailable("a later file", &connection.response());
    unavailable("a delete", &server.ask(&format!("DELETE {}", kept.path()), &[]));
    server.expect_file(&kept);
    let log = server.log_with(&format!("path=\"{}\"", kept.path()));
    let told = log.lines().filter(|line| line.contains("the disk has failed")).count();
    assert_eq!(told, 1, "{log}");
    assert!(log.contains("a commit of the index failed"), "{log}");

    // The disk is well: a server on the same mounted filesystem goes on, and what it acknowledges stays.
    drop(server);
    let server = Server::start_on(&store, &[]);
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);
    let later = server.put("later", &content);
    let again = session.part(&server, FAILED).head.status;
    // 200: it was stored by the commit that failed.
    assert!([200, 201].contains(&again), "{again}");
    assert_eq!(server.ask(&format!("DELETE {}", session.part_path(FAILED)), &[]).head.status, 204);
    session.put(&server, PARTS);
    drop(server);
    disk.lose_power().expect("no power");
    disk.mount().expect("a filesystem");

    let server = Server::start_on(&store, &[]);
    let files: [&Stored; 2] = [&kept, &later];
    files.into_iter().for_each(|file| server.expect_file(file));
    assert_eq!(server.ask(&format!("GET {}", deleted.path()), &[]).head.status, 410);
    assert_eq!(received(&session, &server), BTreeSet::from([1, PARTS]));
    drop(server);
    drop(store);
    disk.unmount().expect("nobody uses it");
}
