//! Sessions of one bucket, through several servers.

use crate::fixture::session::{PART, received, send};
use crate::fixture::{Pattern, Response, Server, Session, Stored, run};
use crate::outage::behind_a_proxy_with;
use crate::{S3Server, Store, finish_after_failures};
use portico_test_servers::Fault;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Finalizes at several servers at once: one makes the file, and all tell the same of it.
fn finalize_everywhere(session: &Session, servers: &[&Server]) -> Stored {
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let finalize = |server: &Server| {
            let addr = server.addr;
            scope.spawn(move || session.finalize(addr))
        };
        let running: Vec<_> = servers.iter().flat_map(|server| [finalize(server), finalize(server)]).collect();
        running.into_iter().map(|answer| answer.join().expect("a client")).collect()
    });
    let made: Vec<&Response> = answers.iter().filter(|answer| answer.head.status == 201).collect();
    assert!(made.len() == 1 && answers.iter().all(|answer| matches!(answer.head.status, 200 | 201)), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.json() == made[0].json()), "{answers:?}");
    Stored::new(made[0], &session.content)
}

pub(crate) fn parts_through_two_servers_make_one_file(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let servers = [Server::start_on(&store, &[]), Server::start_on(&store, &[])];
    let content = Pattern::new(1, 41 * PART - 5);
    let session = Session::begin(&servers[0], &content, PART);
    let wanted: BTreeSet<u64> = (1..=41).collect();
    let sent = send(&session, &[&servers[0], &servers[1]], &wanted, &AtomicBool::new(false), |_| {});
    assert_eq!(sent, wanted);
    for server in &servers {
        assert_eq!(received(&session, server), wanted);
    }
    let file = finalize_everywhere(&session, &[&servers[0], &servers[1]]);
    let [one, other] = servers;
    one.stop(&[&file]);
    other.finish(&[&file]);
}

pub(crate) fn a_server_that_is_killed_leaves_its_sessions_to_the_other(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let (mut one, other) = (Server::start_on(&store, &[]), Server::start_on(&store, &[]));
    let content = Pattern::new(1, 60 * PART + 1);
    let session = Session::begin(&one, &content, PART);
    let wanted: BTreeSet<u64> = (1..=61).collect();
    let killed = AtomicBool::new(false);
    // Each part goes to one of both in turn; those whose server dies go to the other.
    let acknowledged = send(&session, &[&one, &other], &wanted, &killed, |done| {
        while done.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        killed.store(true, Ordering::Relaxed);
        one.signal(Signal::KILL);
    });
    one.wait();
    assert_eq!(acknowledged, wanted);
    assert_eq!(received(&session, &other), wanted);
    let third = Server::start_on(&store, &[]);
    let file = finalize_everywhere(&session, &[&other, &third]);
    assert_eq!(session.status(&third)["status"], "COMPLETE");
    drop(third);
    finish_after_failures(s3, other, &[&file]);
}

/// Many sessions at once, while sweeps by another process go on all the time: none of them is touched.
pub(crate) fn sweeps_run_beside_sessions(s3: &Arc<S3Server>) {
    const CLIENTS: u64 = 10;
    const SESSIONS: u64 = 4;
    let store = Arc::new(Store::on(s3));
    let server = Server::start_on(&store, &[]);
    let left = AtomicU64::new(CLIENTS);
    let files: Vec<Stored> = std::thread::scope(|scope| {
        let client = |client: u64| {
            let (server, left) = (&server, &left);
            scope.spawn(move || {
                let file = |turn: u64| {
                    let content = Pattern::new(client << 8 | turn, 3 * PART + client);
                    let session = Session::begin(server, &content, PART);
                    (1..=session.parts()).for_each(|number| session.put(server, number));
                    session.finish(server)
                };
                let files: Vec<Stored> = (0..SESSIONS).map(file).collect();
                left.fetch_sub(1, Ordering::Relaxed);
                files
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let mut sweeps = 0;
        while left.load(Ordering::Relaxed) > 0 || sweeps == 0 {
            let swept = run(store.command("sweep"));
            assert_eq!((swept.code, &*swept.err), (Some(0), ""), "{swept:?}");
            sweeps += 1;
        }
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    files.iter().for_each(|file| server.expect_file(file));
    finish_after_failures(s3, server, &files.iter().collect::<Vec<_>>());
}

/// A call of the interface, and what it is answered when it succeeds: at first, and again.
type Call = (&'static str, fn(&Session, &Server) -> Response, [u16; 2]);

const CALLS: [Call; 6] = [
    ("a part", |session, server| session.part(server, 2), [201, 200]),
    ("the status", |session, server| server.ask(&format!("GET {}", session.path()), &[]), [200, 200]),
    ("a part deleted", |session, server| server.ask(&format!("DELETE {}", session.part_path(1)), &[]), [204, 204]),
    ("the file made", |session, server| session.finalize(server.addr), [201, 200]),
    ("an abort", |session, server| session.abort(server), [204, 204]),
    (
        "a session begun",
        |session, server| {
            let key = serde_json::json!({"idempotency_key": session.id});
            Session::try_begin(server, &session.content, PART, key)
        },
        [201, 200],
    ),
];

/// The store goes at each request of each call in turn, with that request done and its answer lost, and comes back: the
/// client is told so, and repeats the call.
pub(crate) fn a_call_in_the_middle_of_which_the_store_goes_can_be_repeated(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy_with(s3, "100ms");
    let content = Pattern::new(1, 2 * PART);
    let mut files = Vec::new();
    for (name, call, expected) in CALLS {
        for nth in 1.. {
            let session = Session::begin(&server, &content, PART);
            session.put(&server, 1);
            if name == "the file made" {
                session.put(&server, 2);
            }
            proxy.plan(nth, Fault::ResetAfter);
            proxy.plan_all(nth + 1, Fault::ResetBefore);
            let response = call(&session, &server);
            let is_through = response.head.status < 300;
            assert!(!is_through || expected.contains(&response.head.status), "{name} at {nth}: {response:?}");
            if !is_through {
                response.expect_problem(503, "unavailable");
                assert!(response.head.field("retry-after").is_some());
            }
            proxy.clear();
            let again = call(&session, &server);
            assert!(expected.contains(&again.head.status), "{name} again after {nth}: {again:?}");
            match name {
                "the file made" => {
                    assert_eq!(again.json()["sha256"], content.sha256_hex());
                    let id = again.json()["file_id"].as_str().expect("an id").to_owned();
                    files.push(Stored { id, content: content.clone() });
                }
                // What is not finished would count as left over.
                "a session begun" => _ = Session::of(&again, &content).abort(&server),
                _ => {}
            }
            if name != "the file made" {
                assert_eq!(session.abort(&server).head.status, 204, "{name} at {nth}");
            }
            // Beyond its last request nothing is in its way.
            if is_through && nth > 1 {
                break;
            }
            assert!(nth < 60, "{name} has no end");
        }
    }
    files.iter().for_each(|file| server.expect_file(file));
    finish_after_failures(s3, server, &files.iter().collect::<Vec<_>>());
}

/// A sweep of another process ends a session whose time is over while a server has it, and no other.
pub(crate) fn a_sweep_ends_what_is_over_beside_a_server(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let server = Server::start_on(&store, &[]);
    let content = Pattern::new(1, 3 * PART);
    let (old, young) = (Session::begin(&server, &content, PART), Session::begin(&server, &content, PART));
    for session in [&old, &young] {
        session.put(&server, 1);
        session.put(&server, 3);
    }
    store.age_session(&old, Duration::from_secs(8 * 24 * 60 * 60));
    let swept = run(store.command("sweep"));
    assert_eq!((swept.code, &*swept.err), (Some(0), ""), "{swept:?}");
    let told = "expired 1 sessions, cleared 1 ended ones, forgot 0 sessions and ids\n";
    assert!(swept.out.starts_with(told), "{swept:?}");
    assert_eq!(old.status(&server)["status"], "FAILED");
    old.part(&server, 2).expect_problem(410, "gone");
    old.finalize(server.addr).expect_problem(410, "gone");
    young.put(&server, 2);
    let file = young.finish(&server);
    server.expect_file(&file);
    finish_after_failures(s3, server, &[&file]);
}
