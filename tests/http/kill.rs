//! `kill -9` at any moment: what was acknowledged is there, whole; of the rest nothing is to be seen.
//!
//! `PORTICO_TEST_KILLS` says how many times.

use crate::Store;
use crate::fixture::{Connection, Pattern, Server, Stored};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: u64 = 10;

/// Clients that put at once.
const CLIENTS: u64 = 6;

/// Sizes that are put in turn: some are over before others have begun.
const SIZES: [u64; 5] = [0, 1_000, 100_000, 700_000, 3 << 20];

/// Kills of one store, which is looked at in whole after each.
const KILLS_OF_A_STORE: u64 = 10;

#[test]
fn what_is_acknowledged_survives_a_kill_and_nothing_half_written_does() {
    let kills = std::env::var("PORTICO_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    for first in (0..kills).step_by(KILLS_OF_A_STORE as usize) {
        let store = Arc::new(Store::new());
        let mut files = Vec::new();
        let mut unanswered = Vec::new();
        for round in first..kills.min(first + KILLS_OF_A_STORE) {
            let server = restart(&store, &mut files, &mut unanswered);
            let (put, cut) = put_until_killed(server, round);
            files.extend(put);
            unanswered.extend(cut);
        }
        let server = restart(&store, &mut files, &mut unanswered);
        server.finish(&files.iter().collect::<Vec<_>>());
    }
}

/// Starts the server on what the last kill has left; all that was acknowledged must be there, and nothing else but
/// what was acknowledged to a client that had no time to hear it, whole.
fn restart(store: &Arc<Store>, files: &mut Vec<Stored>, unanswered: &mut Vec<Pattern>) -> Server {
    store.clear_up();
    let server = Server::start_on(store, &[]);
    let known: Vec<&str> = files.iter().map(|file| &*file.id).collect();
    let unknown: Vec<String> = store.finals().into_iter().filter(|id| !known.contains(&&**id)).collect();
    for id in unknown {
        let put = unanswered.iter().position(|content| store.has_content(&id, content));
        let put = put.unwrap_or_else(|| panic!("nobody put {id}, or not whole"));
        files.push(Stored { id, content: unanswered.remove(put) });
    }
    unanswered.clear();
    server.expect_files(&files.iter().collect::<Vec<_>>());
    server
}

/// Puts files on several connections until the server is killed; answers those that were acknowledged, and what was
/// being put.
fn put_until_killed(server: Server, round: u64) -> (Vec<Stored>, Vec<Pattern>) {
    let killed = AtomicBool::new(false);
    let mut put = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let client = |client| {
            let (server, killed) = (&server, &killed);
            scope.spawn(move || put_in_turn(server, round, client, killed))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        // Spread over the time in which the first puts are staged, synced, published and answered.
        std::thread::sleep(Duration::from_micros(random(round) % 200_000));
        killed.store(true, Ordering::Relaxed);
        server.signal(Signal::KILL);
        for client in clients {
            let (files, cut) = client.join().expect("a client");
            put.0.extend(files);
            put.1.extend(cut);
        }
    });
    put
}

/// Puts one file after another; answers those that were acknowledged, and the one that was not.
fn put_in_turn(server: &Server, round: u64, client: u64, killed: &AtomicBool) -> (Vec<Stored>, Option<Pattern>) {
    let mut files = Vec::new();
    let Ok(mut connection) = Connection::try_open(server.addr) else { return (files, None) };
    for turn in 0.. {
        let size = SIZES[((round + client + turn) % SIZES.len() as u64) as usize];
        let content = Pattern::new(round << 32 | client << 16 | turn, size);
        match connection.try_put("/files/until-killed", &content) {
            Ok(response) => files.push(Stored::new(&response, &content)),
            Err(error) => {
                assert!(killed.load(Ordering::Relaxed), "the server fails before it is killed: {error}");
                return (files, Some(content));
            }
        }
    }
    unreachable!("no server lives that long")
}

/// Spreads the moments, the same in every run.
fn random(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}
