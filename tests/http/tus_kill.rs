//! `kill -9` in the middle of appends: the client goes on from an offset that never went down, and the file is whole.
//!
//! `PORTICO_TEST_KILLS` says how many times.

use crate::Store;
use crate::fixture::uploads::{OCTETS, TUS, begin_of, file_of, offset};
use crate::fixture::{Connection, Pattern, Server, Stored};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const KILLS: u64 = 6;

/// Size of an append, in bytes.
const APPEND: u64 = 96 << 10;

/// Kills of one upload.
const KILLS_OF_AN_UPLOAD: u64 = 3;

#[test]
fn an_upload_goes_on_after_kills() {
    let kills = std::env::var("PORTICO_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let store = Arc::new(Store::new());
    let mut files: Vec<Stored> = Vec::new();
    for first in (0..kills).step_by(KILLS_OF_AN_UPLOAD as usize) {
        let content = Pattern::new(first, (KILLS_OF_AN_UPLOAD + 1) * 20 * APPEND - 7);
        let mut server = Server::start_on(&store, &[]);
        let upload = begin_of(&server, content.size());
        let mut acknowledged = 0;
        for round in first..kills.min(first + KILLS_OF_AN_UPLOAD) {
            let there = offset(&server, &upload);
            assert!(there >= acknowledged, "{there} of {acknowledged} acknowledged bytes");
            let told = AtomicU64::new(there);
            std::thread::scope(|scope| {
                let client = scope.spawn(|| send(&server, &upload, &content, there, &told));
                // At some moment within some append.
                let after = there + random(round) % (19 * APPEND);
                while told.load(Ordering::Relaxed) < after {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_micros(random(round + 7_000) % 3_000));
                server.signal(Signal::KILL);
                client.join().expect("a client");
            });
            server.wait();
            acknowledged = told.into_inner();
            server = Server::start_on(&store, &[]);
            files.iter().for_each(|file| server.expect_file(file));
        }
        let there = offset(&server, &upload);
        assert!(there >= acknowledged, "{there} of {acknowledged} acknowledged bytes");
        send(&server, &upload, &content, there, &AtomicU64::new(0));
        let head = server.ask(&format!("HEAD {upload}"), &[TUS]);
        let file = file_of(&upload, &head, &content);
        server.expect_file(&file);
        files.push(file);
    }
    store.clear_up();
    let server = Server::start_on(&store, &[]);
    server.finish(&files.iter().collect::<Vec<_>>());
}

/// Appends from an offset on, until the content ends or the server does. `told` is what was acknowledged.
fn send(server: &Server, upload: &str, content: &Pattern, from: u64, told: &AtomicU64) {
    let Ok(mut connection) = Connection::try_open(server.addr) else { return };
    let mut at = from;
    while at < content.size() {
        let end = (at + APPEND).min(content.size());
        let (offset, length) = (at.to_string(), (end - at).to_string());
        let fields = [TUS, OCTETS, ("Upload-Offset", &*offset), ("Content-Length", &*length)];
        let sent = connection
            .try_request(&format!("PATCH {upload}"), &fields)
            .and_then(|()| content.pieces_of(at..end).try_for_each(|piece| connection.try_send(piece)))
            .and_then(|()| connection.try_response());
        let Ok(response) = sent else { return };
        assert_eq!(response.head.status, 204, "{response:?}");
        at = end;
        told.store(at, Ordering::Relaxed);
    }
}

/// The same numbers in each run.
fn random(seed: u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
