//! Tests of the `portico` binary over HTTP on a disk that fails one write and is well again.

#[path = "../fixture/mod.rs"]
#[expect(dead_code, reason = "the tests of `http/main.rs` use the rest")]
mod fixture;
#[path = "../fixture/folder.rs"]
#[expect(dead_code, reason = "the tests of `http/main.rs` use the rest")]
mod folder;

use fixture::session::received;
use fixture::{Pattern, Response, Server, Session, Stored};
use folder::Folder as Store;
use libtest_mimic::{Arguments, Failed, Trial};
use portico_test_disk::{Disk, Fault};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

/// Size of parts and of files, in bytes.
const SIZE: u64 = 64 << 10;
/// Most puts until one meets the write of the index's log.
const PUTS_MAX: u64 = 20;

fn main() -> ExitCode {
    portico_test_disk::enter_namespace();
    let missing = portico_test_disk::missing();
    // Where such a disk can't be had, people see that this did not run, and CI fails.
    let ignored = missing.is_some() && portico_test_disk::may_be_missing();
    let trial = |name: &str, test: fn()| {
        let name = missing.map_or_else(|| name.to_owned(), |needs| format!("{name}: {needs}"));
        let test = move || missing.map_or_else(|| Ok(test()), |needs| Err(Failed::from(needs)));
        Trial::test(name, test).with_ignored_flag(ignored)
    };
    let trials =
        vec![trial("after_a_failed_commit_nothing_is_acknowledged_and_nothing_is_lost", after_a_failed_commit)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn unavailable(what: &str, response: &Response) {
    assert_eq!(response.head.status, 503, "{what}: {response:?}");
}

/// Puts files until the write that fails is that of the index's log.
fn until_a_commit_fails(disk: &Disk, mut put: impl FnMut(u64) -> Response, ready: impl Fn() -> u16) -> u64 {
    for number in 1..PUTS_MAX {
        // A put that fails with its data is answered and forgotten; the next one meets a later write.
        disk.arm(Some(Fault::Write(number)));
        let status = put(number).head.status;
        disk.arm(None);
        if ready() == 503 {
            assert_eq!(status, 500, "the commit that failed is not acknowledged");
            return number;
        }
        assert!(!disk.kernel_gave_up(), "write {number} of a put was one of the filesystem's own");
    }
    panic!("no put meets a write of the index")
}

fn after_a_failed_commit() {
    let mut disk = Disk::new().expect("a disk");
    let store = Arc::new(Store::on(&disk.root()));
    let server = Server::start_on(&store, &[]);
    let content = Pattern::new(1, SIZE);
    let (kept, deleted) = (server.put("kept", &content), server.put("deleted", &content));
    assert_eq!(server.ask(&format!("DELETE {}", deleted.path()), &[]).head.status, 204);
    let session = Session::begin(&server, &Pattern::new(2, PUTS_MAX * SIZE), SIZE);

    let ready = || server.ask("GET /ready", &[]).head.status;
    assert_eq!(ready(), 200);
    let mut acknowledged = BTreeSet::new();
    let put = |number| {
        let response = session.part(&server, number);
        if response.head.status == 201 {
            acknowledged.insert(number);
        }
        response
    };
    let failed = until_a_commit_fails(&disk, put, ready);

    // Nobody can tell whether the part is there, so nobody is told that it is not.
    unavailable("a delete of it", &server.ask(&format!("DELETE {}", session.part_path(failed)), &[]));
    unavailable("the session", &server.ask(&format!("GET {}", session.path()), &[]));
    unavailable("the same part", &session.part(&server, failed));
    let mut connection = server.connect();
    connection.send_put("/files/later", &[], &content);
    unavailable("a later file", &connection.response());
    unavailable("a delete", &server.ask(&format!("DELETE {}", kept.path()), &[]));
    server.expect_file(&kept);
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("the disk has failed")).count();
    assert_eq!(told, 1, "{log}");
    assert!(log.contains("a commit of the index failed"), "{log}");

    // The disk is well: a server on the same mounted filesystem goes on, and what it acknowledges stays.
    drop(server);
    let server = Server::start_on(&store, &[]);
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);
    let later = server.put("later", &content);
    let again = session.part(&server, failed).head.status;
    // 200: it was stored by the commit that failed.
    assert!([200, 201].contains(&again), "{again}");
    assert_eq!(server.ask(&format!("DELETE {}", session.part_path(failed)), &[]).head.status, 204);
    session.put(&server, PUTS_MAX);
    acknowledged.insert(PUTS_MAX);
    drop(server);
    disk.lose_power().expect("no power");
    disk.mount().expect("a filesystem");

    let server = Server::start_on(&store, &[]);
    let files: [&Stored; 2] = [&kept, &later];
    files.into_iter().for_each(|file| server.expect_file(file));
    assert_eq!(server.ask(&format!("GET {}", deleted.path()), &[]).head.status, 410);
    assert_eq!(received(&session, &server), acknowledged);
    drop(server);
    drop(store);
    disk.unmount().expect("nobody uses it");
}
