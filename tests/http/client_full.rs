//! `portico put` onto a disk without room for it.

use crate::fixture::command::{client, done, failed, file_of, put_told};
use crate::fixture::{Pattern, tell};
use crate::folder::Folder;
use crate::small_disk::SmallDisk;

#[test]
fn a_full_store_is_told_and_what_has_room_is_put() {
    let disk = match SmallDisk::new(32) {
        Ok(disk) => disk,
        Err(reason) if std::env::var_os("CI").is_none() => {
            tell(&format!("no small disk can be mounted here: {reason}"));
            return;
        }
        Err(reason) => panic!("no small disk can be mounted here: {reason}"),
    };
    let server = disk.serve();
    let url = format!("http://{}", server.addr);
    let beside = Folder::new();
    let (large, small) = (Pattern::new(1, 64 << 20), Pattern::new(2, 100_000));
    let path = file_of(&beside, "large", &large);
    let said = failed(client(&url, "put", &[path.to_str().expect("text")]), 1, &["large: ", "(507)", "full"]);
    assert!(!said.err.contains("trying again") && said.out.is_empty(), "{said:?}");
    // What has arrived of it takes the room until somebody gives the session up or its time is over.
    let log = server.log();
    let (_, rest) = log.split_once("/uploads/sessions/").expect("a session");
    let session = &rest[..32];
    assert_eq!(server.ask(&format!("DELETE /uploads/sessions/{session}"), &[]).head.status, 204);
    let path = file_of(&beside, "small", &small);
    let file = put_told(&done(client(&url, "put", &["--json", path.to_str().expect("text")])), &small);
    server.stop(&[&file]);
}
