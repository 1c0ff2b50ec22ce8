//! Many sessions at once, over few connections, while the server's own maintenance and sweeps run throughout.

use crate::fixture::session::PART;
use crate::fixture::{Pattern, Server, Session, Stored, eventually, tell};

const SESSIONS: usize = 500;
const CONNECTIONS: usize = 50;

/// Parts of each session, the last of which is short.
const PARTS: u64 = 3;

/// Most memory that the server may take for all of that, in bytes: what `--s3-memory` and 50 guests at once come to.
const MEMORY: u64 = 256 << 20;

#[test]
fn five_hundred_sessions_from_fifty_connections() {
    let server = Server::start(&["--maintenance-interval", "1s", "--log", "info,access=warn"]);
    let begin = |at: usize| {
        let content = Pattern::new(at as u64, PARTS * PART - 1_000 - at as u64);
        Session::begin(&server, &content, PART)
    };
    let files: Vec<Stored> = std::thread::scope(|scope| {
        let client = |first: usize| {
            let (server, begin) = (&server, &begin);
            scope.spawn(move || {
                // All of its sessions are open before the first of them gets a part.
                let sessions: Vec<Session> = (first..SESSIONS).step_by(CONNECTIONS).map(begin).collect();
                let mut connection = server.connect();
                for number in (1..=PARTS).rev() {
                    for session in &sessions {
                        let response = session.try_part(&mut connection, number, &[]).expect("an answer");
                        assert_eq!(response.head.status, 201, "{response:?}");
                    }
                }
                // What looked after the store meanwhile has been through all of it once.
                eventually("a sweep", || server.log().contains("swept").then_some(()));
                sessions.iter().map(|session| session.finish(server)).collect::<Vec<_>>()
            })
        };
        let clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    let (peak, log) = (server.peak(), server.log());
    let passes = log.matches("swept").count();
    tell(&format!("peak: {} KiB for {SESSIONS} sessions at once, beside {passes} sweeps", peak >> 10));
    assert!(!log.contains("ERROR"), "{log}");
    assert!(peak < MEMORY, "{peak} bytes");
    server.finish(&files.iter().collect::<Vec<_>>());
}
