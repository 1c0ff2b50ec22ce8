//! `kill -9` of the server in the middle of `portico put`: the client goes on by itself.
//!
//! `PORTICO_TEST_KILLS` says how many times.

use crate::Store;
use crate::fixture::command::{Acknowledged, PATIENCE, Running, client, file_of, parts_done, put_told};
use crate::fixture::relay::Relay;
use crate::fixture::{Pattern, Server, eventually};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;

const KILLS: u64 = 6;

/// Parts of the file for each kill, of which most come between two of them.
const PARTS: u64 = 60;

/// Size of parts, as `--part-size` has it.
const PART: u64 = 64 << 10;

#[test]
fn an_upload_goes_on_by_itself_after_kills_of_the_server() {
    let kills = std::env::var("PORTICO_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let store = Arc::new(Store::new());
    let start = || Server::start_on(&store, &["--log-format", "json"]);
    let content = Pattern::new(1, (kills + 1) * PARTS * PART - 77);
    let path = file_of(&store, "file", &content);
    let mut server = start();
    let relay = Relay::start(server.addr);
    let arguments = ["--json", "--part-size", "64KiB", "--retry", PATIENCE, path.to_str().expect("text")];
    let mut running = Running::start(client(&relay.url(), "put", &arguments));
    let mut acknowledged = Acknowledged::default();
    for round in 0..kills {
        // At some moment within some part; the last time when all parts are there, within the making of the file.
        let is_last = round + 1 == kills;
        eventually("some parts", || (parts_done(&server.exchanges()) as u64 >= random(round) % 20).then_some(()));
        if is_last {
            loop {
                let before = parts_done(&server.exchanges());
                // On a busy machine it may be done before anybody has seen that.
                if are_all_there(&server, &content) || !running.is_running() {
                    break;
                }
                eventually("another part", || {
                    (parts_done(&server.exchanges()) > before || !running.is_running()).then_some(())
                });
            }
        }
        assert!(running.is_running() || is_last, "the upload is over after {round} kills");
        std::thread::sleep(Duration::from_micros(random(round + 7_000) % 3_000));
        server.signal(Signal::KILL);
        server.wait();
        acknowledged.follow(&server.exchanges());
        server = start();
        relay.lead_to(server.addr);
    }
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    let file = put_told(&lines, &content);
    acknowledged.follow(&server.exchanges());
    drop(server);
    store.clear_up();
    Server::start_on(&store, &[]).finish(&[&file]);
}

/// Whether the session has all of its file.
fn are_all_there(server: &Server, content: &Pattern) -> bool {
    let exchanges = server.exchanges();
    let path = exchanges.iter().find_map(|exchange| exchange["path"].as_str()?.strip_prefix("/uploads/sessions/"));
    let id = path.and_then(|path| path.split('/').next());
    let told = id.map(|id| server.ask(&format!("GET /uploads/sessions/{id}"), &[]).json());
    told.is_some_and(|told| told["received_bytes"] == content.size())
}

/// Spreads the moments, the same in every run.
fn random(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}
