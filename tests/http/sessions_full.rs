//! Sessions on a disk that becomes full: in the middle of a part, and when the file is made.

use crate::fixture::{Pattern, Server, Session, Stored, tell};
use crate::small_disk::SmallDisk;

const MIB: u64 = 1 << 20;
/// Size of parts.
const PART: u64 = 3 * MIB;

/// A disk of 32 MiB with a server on it, where one can be mounted.
fn small() -> Option<(SmallDisk, Server)> {
    match SmallDisk::new(32) {
        Ok(disk) => {
            let server = disk.serve();
            Some((disk, server))
        }
        Err(reason) if std::env::var_os("CI").is_none() => {
            tell(&format!("no small disk can be mounted here: {reason}"));
            None
        }
        Err(reason) => panic!("no small disk can be mounted here: {reason}"),
    }
}

/// Puts parts until one finds no room; answers its number.
fn fill(session: &Session, server: &Server) -> u64 {
    (1..=session.parts())
        .find(|number| {
            let response = session.part(server, *number);
            let full = response.head.status == 507;
            if full {
                response.expect_problem(507, "no-space");
            }
            full
        })
        .expect("more than the disk holds")
}

#[test]
fn a_part_that_finds_no_room_can_be_sent_again() {
    let Some((_disk, server)) = small() else { return };
    let session = Session::begin(&server, &Pattern::new(1, 5 * PART), PART);
    let other = Session::begin(&server, &Pattern::new(2, 20 * PART), PART);
    (1..=3).for_each(|number| session.put(&server, number));
    let refused = fill(&other, &server);
    let parts = |session: &Session| session.status(&server)["received_parts"].clone();
    assert_eq!(parts(&other), serde_json::json!([[1, refused - 1]]));
    assert_eq!(parts(&session), serde_json::json!([[1, 3]]));
    session.part(&server, 4).expect_problem(507, "no-space");

    // An end needs no room, and gives back what the session had.
    assert_eq!(other.abort(&server).head.status, 204);
    (4..=5).for_each(|number| session.put(&server, number));
    let file = session.finish(&server);
    server.expect_file(&file);
    server.stop(&[&file]);
}

#[test]
fn a_file_is_made_on_a_full_disk_or_when_there_is_room_again() {
    let Some((_disk, server)) = small() else { return };
    let ordered = Session::begin(&server, &Pattern::new(1, 3 * PART), PART);
    (1..=3).rev().for_each(|number| ordered.put(&server, number));
    let other = Session::begin(&server, &Pattern::new(2, 20 * PART), PART);
    fill(&other, &server);
    // Small files take what is left.
    let fits = |seed: &u64| {
        let content = Pattern::new(*seed, 64 << 10);
        let mut connection = server.connect();
        connection.send_put("/files/small", &[], &content);
        connection.response().head.status == 201
    };
    assert!((0..1_000).any(|seed| !fits(&seed)), "the disk is never full");
    let response = ordered.finalize(server.addr);
    let file = match response.head.status {
        507 => {
            response.expect_problem(507, "no-space");
            assert_eq!(ordered.status(&server)["status"], "IN_PROGRESS");
            assert_eq!(other.abort(&server).head.status, 204);
            ordered.finish(&server)
        }
        _ => Stored::new(&response, &ordered.content),
    };
    server.expect_file(&file);
}
