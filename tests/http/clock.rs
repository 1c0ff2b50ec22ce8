//! The clock of the server's machine is set forward and back, as by an operator or by a machine that first thinks that it is
//! another year.

use crate::Store;
use crate::fixture::session::PART;
use crate::fixture::{Pattern, Server, Session, Stored, eventually};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const DAY: i64 = 24 * 60 * 60;

/// The clock on the wall of servers that are started with it. That by which they wait goes on as always.
struct Clock {
    dir: TempDir,
}

impl Clock {
    /// One that is right.
    fn new() -> Clock {
        let clock = Clock { dir: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder") };
        fs::write(clock.file(), [0; 8]).expect("a file");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/http/fixture/clock.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(clock.library()).arg(source).status();
        assert!(compiled.expect("a C compiler").success());
        clock
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ahead")
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("clock.so")
    }

    /// Starts a server that goes by it.
    fn server(&self, flags: &[&str]) -> Server {
        let store = Arc::new(Store::new());
        let mut command = store.command("serve");
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        command.env("LD_PRELOAD", self.library()).env("CLOCK_AHEAD", self.file());
        Server::spawn(command, &store)
    }

    /// Sets it, for servers that run, too.
    fn set_days(&self, ahead: i64) {
        let file = File::options().write(true).open(self.file()).expect("a file");
        file.write_all_at(&(ahead * DAY).to_ne_bytes(), 0).expect("eight bytes");
    }
}

/// A server that goes by a clock and looks after its store all the time, with a file, and with one that was deleted.
fn begin(clock: &Clock, content: &Pattern) -> (Server, Stored, Stored) {
    let server = clock.server(&["--maintenance-interval", "50ms"]);
    let (kept, deleted) = (server.put("kept", content), server.put("deleted", &Pattern::new(2, PART)));
    assert_eq!(server.ask(&format!("DELETE {}", deleted.path()), &[]).head.status, 204);
    (server, kept, deleted)
}

/// The status of what is asked for.
fn status(server: &Server, path: &str) -> u16 {
    server.ask(&format!("GET {path}"), &[]).head.status
}

/// Waits for a round of maintenance that has begun after this.
fn expect_maintenance(server: &Server) {
    let rounds = || server.upkeep_passes("maintenance", "done");
    let before = rounds();
    eventually("two more rounds of maintenance", || (rounds() >= before + 2).then_some(()));
}

#[test]
fn a_clock_that_is_set_back_ends_nothing() {
    let clock = Clock::new();
    let content = Pattern::new(1, 3 * PART);
    let (server, kept, deleted) = begin(&clock, &content);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 1);

    clock.set_days(-20);
    let earlier = server.put("earlier", &Pattern::new(3, PART));
    session.put(&server, 2);
    assert_eq!(session.part(&server, 1).head.status, 200);
    let session_of_then = Session::begin(&server, &content, PART);
    session_of_then.put(&server, 3);
    // Nothing that is there was made later than now.
    let then = SystemTime::now() - Duration::from_secs(20 * DAY.unsigned_abs());
    for file in [&kept, &earlier] {
        server.expect_file(file);
        let head = server.ask(&format!("HEAD {}", file.path()), &[]).head;
        let date = head.field("last-modified").and_then(|date| httpdate::parse_http_date(date).ok());
        let made = date.unwrap_or_else(|| panic!("no date: {head:?}"));
        assert!(made < then + Duration::from_secs(600), "{head:?}");
        let not_modified =
            server.ask(&format!("GET {}", file.path()), &[("If-None-Match", head.field("etag").unwrap())]);
        assert_eq!(not_modified.head.status, 304);
    }
    assert_eq!(status(&server, &deleted.path()), 410);
    expect_maintenance(&server);
    assert_eq!(session.status(&server)["received_parts"], json!([[1, 2]]));

    clock.set_days(0);
    session.put(&server, 3);
    let finished = session.finish(&server);
    // Its time was over two weeks ago, and it is not forgotten yet.
    session_of_then.part(&server, 1).expect_problem(410, "gone");
    assert_eq!(session_of_then.status(&server)["status"], "FAILED");
    assert_eq!(status(&server, &deleted.path()), 410);
    server.finish(&[&kept, &earlier, &finished]);
}

#[test]
fn what_is_over_stays_so_when_the_clock_is_set_back() {
    let clock = Clock::new();
    let content = Pattern::new(1, 2 * PART);
    let (server, kept, deleted) = begin(&clock, &content);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 2);

    clock.set_days(8);
    server.expect_files(&[&kept]);
    assert_eq!(server.uploads("sessions", "expired"), 1);
    for ahead in [8, 0, -400] {
        clock.set_days(ahead);
        assert_eq!(session.status(&server)["status"], "FAILED");
        session.part(&server, 1).expect_problem(410, "gone");
        session.finalize(server.addr).expect_problem(410, "gone");
    }

    // Remembered for as long as sessions and tombstones are, and then forgotten.
    clock.set_days(36);
    expect_maintenance(&server);
    assert_eq!([status(&server, &session.path()), status(&server, &deleted.path())], [200, 410]);
    clock.set_days(38);
    for path in [session.path(), deleted.path()] {
        eventually("that it is forgotten", || (status(&server, &path) == 404).then_some(()));
    }
    clock.set_days(0);
    assert_eq!([status(&server, &session.path()), status(&server, &deleted.path())], [404, 404]);
    server.expect_file(&kept);
    server.finish(&[&kept]);
}
