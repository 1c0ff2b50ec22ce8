//! `kill -9` in the middle of a session: a fresh server goes on with it, and nothing that was acknowledged is sent twice.
//!
//! `PORTICO_TEST_KILLS` says how many times.

use crate::Store;
use crate::fixture::session::{PART, received, send};
use crate::fixture::{Connection, Pattern, Server, Session, Stored};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: u64 = 6;

/// Kills of one session while its parts come, before its file is made.
const KILLS_OF_A_SESSION: u64 = 3;

/// Parts of a session.
const PARTS: u64 = 80;

#[test]
fn a_session_goes_on_after_kills() {
    let kills = std::env::var("PORTICO_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let store = Arc::new(Store::new());
    let mut files: Vec<Stored> = Vec::new();
    for first in (0..kills).step_by(KILLS_OF_A_SESSION as usize) {
        let content = Pattern::new(first, PARTS * PART - 77);
        let mut server = Server::start_on(&store, &[]);
        let session = Session::begin(&server, &content, PART);
        let mut acknowledged = BTreeSet::new();
        for round in first..kills.min(first + KILLS_OF_A_SESSION) {
            let there = received(&session, &server);
            assert!(acknowledged.is_subset(&there), "{acknowledged:?} are not all of {there:?}");
            let wanted = (1..=PARTS).filter(|number| !there.contains(number)).collect();
            let killed = AtomicBool::new(false);
            let sent = send(&session, &[&server], &wanted, &killed, |done| {
                // At some moment within some part.
                let after = random(round) % (wanted.len() as u64 / 2).max(1);
                while done.load(Ordering::Relaxed) < after {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_micros(random(round + 7_000) % 3_000));
                killed.store(true, Ordering::Relaxed);
                server.signal(Signal::KILL);
            });
            server.wait();
            acknowledged = there;
            acknowledged.extend(sent);
            server = restart(&store, &files);
        }
        let there = received(&session, &server);
        assert!(acknowledged.is_subset(&there), "{acknowledged:?} are not all of {there:?}");
        let wanted = (1..=PARTS).filter(|number| !there.contains(number)).collect();
        send(&session, &[&server], &wanted, &AtomicBool::new(false), |_| {});
        files.push(finalize_through_a_kill(&session, server, &store, &files, first));
    }
    store.clear_up();
    let server = Server::start_on(&store, &[]);
    server.finish(&files.iter().collect::<Vec<_>>());
}

/// Finalizes, and kills the server meanwhile; whatever came of it, the next one tells of the same file.
fn finalize_through_a_kill(
    session: &Session,
    mut server: Server,
    store: &Arc<Store>,
    files: &[Stored],
    seed: u64,
) -> Stored {
    let addr = server.addr;
    let told: Option<Value> = std::thread::scope(|scope| {
        let finalize = scope.spawn(move || {
            let mut connection = Connection::try_open(addr).ok()?;
            let line = format!("POST {}/finalize", session.path());
            connection.try_request(&line, &[("Content-Length", "0")]).ok()?;
            connection.try_response().ok().map(|response| response.json())
        });
        std::thread::sleep(Duration::from_micros(random(seed + 9_000) % 20_000));
        server.signal(Signal::KILL);
        finalize.join().expect("a client")
    });
    server.wait();
    let server = restart(store, files);
    let response = session.finalize(server.addr);
    assert!(matches!(response.head.status, 200 | 201), "{response:?}");
    let again = response.json();
    assert!(told.is_none_or(|told| told == again), "{again}");
    assert_eq!(again["sha256"], session.content.sha256_hex());
    let id = again["file_id"].as_str().expect("an id").to_owned();
    Stored { id, content: session.content.clone() }
}

fn restart(store: &Arc<Store>, files: &[Stored]) -> Server {
    let server = Server::start_on(store, &[]);
    files.iter().for_each(|file| server.expect_file(file));
    server
}

/// Spreads the moments, the same in every run.
fn random(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}
