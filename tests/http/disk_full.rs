//! A full disk: a put is refused with 507 and leaves nothing, what is there stays readable, and deletes make room.

use crate::fixture::{Connection, Pattern, Response, Server, Stored, eventually, portico, tell};
use crate::folder::Folder;
use crate::small_disk::SmallDisk;
use std::process::Command;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// Puts a file, which may find no room.
fn try_put(server: &Server, content: &Pattern) -> Option<Stored> {
    let mut connection = server.connect();
    connection.send_put("/files/large", &[], content);
    stored(&connection.response(), content)
}

/// Takes the answer to a put: stored, or no room.
fn stored(response: &Response, content: &Pattern) -> Option<Stored> {
    if response.head.status == 507 {
        response.expect_problem(507, "no-space");
        return None;
    }
    Some(Stored::new(response, content))
}

fn delete(server: &Server, file: &Stored) {
    assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
}

/// A disk of 32 MiB, or where none can be mounted a process that may write no file beyond 16 MiB, which never is full
/// but refuses the same writes.
enum Small {
    Disk(SmallDisk),
    Files(Arc<Folder>),
}

impl Small {
    fn new() -> Small {
        match SmallDisk::new(32) {
            Ok(disk) => Small::Disk(disk),
            Err(reason) => {
                tell(&format!("no small disk can be mounted here ({reason}); a file-size limit takes its place"));
                Small::Files(Arc::new(Folder::new()))
            }
        }
    }

    fn serve(&self) -> Server {
        match self {
            Small::Disk(disk) => disk.serve(),
            Small::Files(folder) => limited(folder),
        }
    }
}

/// Starts a server that may write no file beyond 16 MiB.
fn limited(folder: &Arc<Folder>) -> Server {
    let store = format!("file:{}", folder.root().display());
    let inner = portico(["serve", "--store", &*store, "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={}", 16 * MIB)).arg(inner.get_program()).args(inner.get_args()).env_clear();
    Server::spawn(command, folder)
}

#[test]
fn a_put_that_finds_no_room_leaves_nothing() {
    let small = Small::new();
    let server = small.serve();
    let kept = server.put("kept", &Pattern::new(1, MIB));
    let large = Pattern::new(2, 40 * MIB);
    assert!(try_put(&server, &large).is_none(), "there is room for what is larger than the disk");
    server.expect_files(&[&kept]);
    let mut chunked = server.connect();
    chunked.request("PUT /files/large", &[("Transfer-Encoding", "chunked")]);
    large.pieces().for_each(|piece| chunked.send_chunk(piece));
    chunked.end_chunks();
    assert!(stored(&chunked.response(), &large).is_none());
    chunked.expect_end();

    // Nothing was lost, and what the failed puts had taken is free again.
    server.expect_file(&kept);
    let again = server.put("again", &Pattern::new(3, 10 * MIB));
    server.expect_files(&[&kept, &again]);
    server.stop(&[&kept, &again]);
}

#[test]
fn a_full_disk_still_reads_and_deletes() {
    let small = Small::new();
    let server = small.serve();
    let mut files = Vec::new();
    for size in [4 * MIB, 256 << 10, 0] {
        let full = (0..2_000).any(|seed| match try_put(&server, &Pattern::new(seed, size)) {
            Some(file) => {
                files.push(file);
                false
            }
            None => true,
        });
        assert!(full, "the disk is never full of files of {size} bytes");
    }
    let all = |files: &[Stored]| server.expect_files(&files.iter().collect::<Vec<_>>());
    all(&files);
    server.expect_file(&files[0]);
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    server.ask("GET /ready", &[]).expect_host_problem(503);

    // Room comes from deletes, which need none.
    for _ in 0..3 {
        let file = files.remove(0);
        delete(&server, &file);
        server.ask(&format!("GET {}", file.path()), &[]).expect_problem(410, "gone");
    }
    all(&files);
    // An answer is kept for a moment.
    eventually("room", || (server.ask("GET /ready", &[]).head.status == 200).then_some(()));
    files.push(server.put("again", &Pattern::new(1, MIB)));
    server.expect_file(&files[files.len() - 1]);
    server.stop(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_server_starts_on_a_full_disk() {
    let small = Small::new();
    let server = small.serve();
    let mut files = Vec::new();
    for size in [2 * MIB, 100 << 10, 1_000] {
        while files.len() < 100
            && let Some(file) = try_put(&server, &Pattern::new(files.len() as u64, size))
        {
            files.push(file);
        }
    }
    server.stop(&files.iter().collect::<Vec<_>>());
    let server = small.serve();
    files.iter().take(3).for_each(|file| server.expect_file(file));
    for _ in 0..3 {
        delete(&server, &files.remove(0));
    }
    files.push(server.put("again", &Pattern::new(1, MIB)));
    server.stop(&files.iter().collect::<Vec<_>>());
}

#[test]
fn puts_that_fight_for_the_last_room_are_stored_whole_or_not_at_all() {
    let small = Small::new();
    let server = small.serve();
    let put = |client: u64| {
        let content = Pattern::new(client, 3 * MIB + client);
        let mut connection = Connection::open(server.addr);
        connection.send_put("/files/fight", &[], &content);
        stored(&connection.response(), &content)
    };
    let put = &put;
    let files: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|client| scope.spawn(move || put(client))).collect();
        clients.into_iter().filter_map(|client| client.join().expect("a client")).collect()
    });
    if matches!(small, Small::Disk(_)) {
        assert!(files.len() < 16, "48 MiB fit into 32");
    }
    server.expect_files(&files.iter().collect::<Vec<_>>());
    server.stop(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_limit_on_the_size_of_files_is_no_room_either() {
    let folder = Arc::new(Folder::new());
    let server = limited(&folder);
    let kept = server.put("kept", &Pattern::new(1, 16 * MIB));
    assert!(try_put(&server, &Pattern::new(2, 16 * MIB + 1)).is_none());
    server.expect_files(&[&kept]);
    delete(&server, &kept);
    let again = server.put("again", &Pattern::new(3, MIB));
    server.finish(&[&again]);
}
