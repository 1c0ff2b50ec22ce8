//! Memory of client and server while files are put and got: it does not grow with their size.
//!
//! `PORTICO_TEST_GIB` says how large the large file is.

use crate::fixture::command::{Running, client, expect_content, file_of, put_told};
use crate::fixture::{Pattern, Server, Stored, tell};
use std::fs;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// How much more memory the large file may take than the small one, in bytes.
const MORE: u64 = 8 * MIB;

/// Most memory that a command has had so far, in bytes; absent once it has ended.
fn peak(running: &Running) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid().as_raw_pid())).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?;
    kib.parse().ok().map(|kib: u64| kib << 10)
}

/// Most memory that a command has had shortly before its end, and what it said.
fn watched(mut running: Running) -> (u64, Vec<String>) {
    let mut most = 0;
    while running.is_running() {
        most = peak(&running).map_or(most, |now| now.max(most));
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    (most, said.out.lines().map(str::to_owned).collect())
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let large = std::env::var("PORTICO_TEST_GIB").map_or(512 * MIB, |gib| gib.parse::<u64>().expect("a number") << 30);
    let server = Server::start(&[]);
    let url = format!("http://{}", server.addr);
    let mut files = Vec::new();
    let mut peaks = Vec::new();
    // The first is the warm-up: what is taken once is taken.
    for size in [99 * MIB, 100 * MIB, large] {
        server.reset_peak();
        let content = Pattern::new(size, size);
        let path = file_of(&server.store, "file", &content);
        let (put, lines) = watched(Running::start(client(&url, "put", &["--json", path.to_str().expect("text")])));
        let file: Stored = put_told(&lines, &content);
        let target = server.store.beside("target");
        let arguments = ["--force", &file.id, "-o", target.to_str().expect("text")];
        let (get, _) = watched(Running::start(client(&url, "get", &arguments)));
        expect_content(&target, &content);
        fs::remove_file(&target).expect("a file");
        let told = [put, get, server.peak()];
        tell(&format!("peak of put, get and the server for {} MiB: {:?} KiB", size / MIB, told.map(|peak| peak >> 10)));
        peaks.push(told);
        files.push(file);
    }
    let grown = peaks[1].iter().zip(peaks[2]).any(|(small, large)| large > small + MORE);
    assert!(!grown, "{peaks:?}");
    server.finish(&files.iter().collect::<Vec<_>>());
}
