//! What an operator sets for sessions: sizes of parts, how long a session may take, and what then becomes of it.

use crate::Store;
use crate::fixture::session::{PART, earlier, post};
use crate::fixture::{Pattern, Server, Session, eventually, run};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn sizes_of_parts_are_those_configured() {
    let server = Server::start(&["--part-size", "1000B", "--part-size-min", "100B", "--part-size-max", "2000B"]);
    let content = Pattern::new(1, 2_500);
    let document = json!({"original_filename": "part by part", "total_size_bytes": content.size()}).to_string();
    let session = Session::of(&post(server.addr, "/uploads/sessions", &document), &content);
    assert_eq!(session.part_size, 1_000);
    (1..=3).for_each(|number| session.put(&server, number));
    let file = session.finish(&server);
    server.expect_file(&file);

    for size in [100, 2_000] {
        let session = Session::begin(&server, &content, size);
        assert_eq!(session.part_size, size);
    }
    for (size, bound) in [(99, "at least 100 bytes"), (2_001, "at most 2000 bytes"), (0, "at least 100 bytes")] {
        let refused = Session::try_begin(&server, &content, size, json!({}));
        let problem = refused.expect_problem(400, "invalid-request");
        assert_eq!(problem["field"], "chunk_size_bytes");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(bound)), "{problem}");
    }
    server.finish(&[&file]);
}

#[test]
fn a_key_leads_to_its_session_whatever_the_settings_are_by_then() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 * PART);
    // Of one the server chooses the size of the parts, of the other the client.
    let documents = [
        json!({"original_filename": "part by part", "total_size_bytes": content.size(), "idempotency_key": "one"}),
        json!({
            "original_filename": "part by part", "total_size_bytes": content.size(), "chunk_size_bytes": PART,
            "idempotency_key": "other",
        }),
    ];
    let begin = |server: &Server, document: &Value| post(server.addr, "/uploads/sessions", &document.to_string());
    let sessions = documents.each_ref().map(|document| {
        let begun = begin(&server, document);
        assert_eq!(begun.head.status, 201, "{begun:?}");
        Session::of(&begun, &content)
    });
    assert_eq!(sessions.each_ref().map(|session| session.part_size), [5 << 20, PART]);
    sessions[1].put(&server, 2);

    let smaller = ["--part-size", "2000B", "--part-size-min", "1000B", "--part-size-max", "3000B"];
    let larger = ["--part-size", "2MiB", "--part-size-min", "1MiB", "--max-object-size", "1000B"];
    let mut store = end(server);
    for flags in [&smaller, &larger] {
        let server = Server::start_on(&store, flags);
        for (document, session) in documents.iter().zip(&sessions) {
            let again = begin(&server, document);
            assert_eq!(again.head.status, 200, "{flags:?}: {again:?}");
            let again = Session::of(&again, &content);
            assert_eq!((&again.id, again.part_size), (&session.id, session.part_size), "{flags:?}");
            // What is asked for otherwise is something else, and what is new is as the settings are.
            let mut other = document.clone();
            other["chunk_size_bytes"] = (1_u64 << 20).into();
            assert_eq!(
                begin(&server, &other).expect_problem(409, "idempotency-key-reused")["field"],
                "idempotency_key"
            );
        }
        store = end(server);
    }
    let server = Server::start_on(&store, &larger);
    let new = |size: u64, more: Value| Session::try_begin(&server, &Pattern::new(2, size), PART, more);
    let refused = new(content.size(), json!({"idempotency_key": "new"}));
    assert_eq!(refused.expect_problem(413, "too-large")["limit"], 1_000);
    let refused = new(1_000, json!({"idempotency_key": "new"})).expect_problem(400, "invalid-request");
    assert_eq!(refused["field"], "chunk_size_bytes");
    let store = end(server);

    // The sessions go on as they began.
    let server = Server::start_on(&store, &smaller);
    for (session, numbers) in sessions.iter().zip([&[1][..], &[1, 3]]) {
        numbers.iter().for_each(|number| session.put(&server, *number));
    }
    let files = sessions.map(|session| session.finish(&server));
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_session_whose_time_is_over_has_failed() {
    let server = Server::start(&["--session-ttl", "1s"]);
    let content = Pattern::new(1, 2_000);
    let session = Session::begin(&server, &content, 64 << 10);
    // It may be over before its part has come, on a machine that does other things too.
    let first = session.part(&server, 1).head.status;
    assert!(matches!(first, 201 | 410), "{first}");
    eventually("the end of its time", || (session.status(&server)["status"] == "FAILED").then_some(()));
    session.part(&server, 1).expect_problem(410, "gone");
    session.finalize(server.addr).expect_problem(410, "gone");
    server.ask(&format!("DELETE {}", session.part_path(1)), &[]).expect_problem(410, "gone");
    // Whoever does not want to wait for the maintenance ends it.
    assert_eq!(session.abort(&server).head.status, 204);
    server.finish(&[]);
}

/// Stops a server that has sessions.
fn end(mut server: Server) -> Arc<Store> {
    server.signal(Signal::TERM);
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    server.store.clone()
}

/// Runs `portico sweep`, which says first what it did with sessions.
#[track_caller]
fn sweep(store: &Store, [ended, cleared, forgotten]: [u32; 3]) {
    let said = run(store.command("sweep"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let sessions =
        format!("expired {ended} sessions, cleared {cleared} ended ones, forgot {forgotten} sessions and ids");
    assert_eq!(said.out.lines().next(), Some(&*sessions), "{said:?}");
    assert!(said.out.lines().nth(1).is_some_and(|line| line.starts_with("removed ")), "{said:?}");
}

#[test]
fn a_sweep_ends_sessions_whose_time_is_over_and_forgets_them_later() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 * PART);
    let key = || json!({"idempotency_key": "once"});
    let old = Session::begin_with(&server, &content, PART, key());
    let young = Session::begin(&server, &content, PART);
    let aborted = Session::begin(&server, &content, PART);
    let empty = Session::begin(&server, &content, PART);
    for session in [&old, &young, &aborted] {
        session.put(&server, 1);
        session.put(&server, 3);
    }
    assert_eq!(aborted.abort(&server).head.status, 204);

    // Its time is over, but for the time by which clocks may differ.
    let store = end(server);
    store.age_session(&old, 7 * DAY);
    sweep(&store, [0, 0, 0]);
    store.age_session(&old, HOUR);
    sweep(&store, [1, 1, 0]);
    sweep(&store, [0, 0, 0]);

    let server = Server::start_on(&store, &[]);
    let status = old.status(&server);
    assert_eq!((&status["status"], &status["received_parts"]), (&json!("FAILED"), &json!([])), "{status}");
    old.part(&server, 2).expect_problem(410, "gone");
    old.finalize(server.addr).expect_problem(410, "gone");
    let again = Session::try_begin(&server, &content, PART, key());
    assert_eq!((again.head.status, &again.json()["status"]), (200, &json!("FAILED")));
    young.put(&server, 2);
    let file = young.finish(&server);
    server.expect_file(&file);

    // One that has no parts is ended too, and what ended long ago is forgotten, with its key.
    let store = end(server);
    store.age_session(&empty, 8 * DAY);
    store.age_session(&old, 30 * DAY);
    sweep(&store, [1, 0, 1]);
    let server = Server::start_on(&store, &[]);
    server.ask(&format!("GET {}", old.path()), &[]).expect_problem(404, "not-found");
    assert_eq!(empty.status(&server)["status"], "FAILED");
    let anew = Session::begin_with(&server, &content, PART, key());
    assert_ne!(anew.id, old.id);
    server.finish(&[&file]);
}

/// A look at a record may be wrong once, as a store may be, and parts can't be brought back.
#[test]
fn parts_of_a_session_go_only_after_its_record_was_missed_twice_an_hour_apart() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 3 * PART);
    let (found, lost) = (Session::begin(&server, &content, PART), Session::begin(&server, &content, PART));
    for session in [&found, &lost] {
        session.put(&server, 1);
        session.put(&server, 3);
    }
    let store = end(server);
    let record = |session: &Session| format!("sessions/{}", session.id);
    let note = |session: &Session| format!("orphans/{}", session.id);
    let seen = |session: &Session| store.rewrite(&note(session), |note| note);
    let age = |session: &Session, by| store.rewrite(&note(session), |note| earlier(note, "seen_at", by));
    let records = [&found, &lost].map(|session| store.rewrite(&record(session), |_| None));
    // Noted once, however often it is looked.
    sweep(&store, [0, 0, 0]);
    let first = [seen(&found), seen(&lost)];
    assert!(first.iter().all(Option::is_some), "{first:?}");
    sweep(&store, [0, 0, 0]);
    assert_eq!([seen(&found), seen(&lost)], first);
    for session in [&found, &lost] {
        age(session, HOUR - Duration::from_secs(120));
    }
    sweep(&store, [0, 0, 0]);

    // The record of one is there after all: the look before counts for nothing then.
    let [record_found, _] = records;
    store.rewrite(&record(&found), |_| record_found.clone());
    age(&lost, Duration::from_secs(120));
    age(&found, HOUR);
    sweep(&store, [0, 1, 0]);
    assert_eq!([seen(&found), seen(&lost)], [None, None]);
    store.rewrite(&record(&found), |_| None);
    sweep(&store, [0, 0, 0]);
    store.rewrite(&record(&found), |_| record_found);
    // A clock that was wrong at the first look keeps nothing for ever.
    store.rewrite(&note(&lost), |_| Some(json!({"version": 1, "seen_at": u64::MAX})));
    sweep(&store, [0, 0, 0]);
    assert_eq!([seen(&found), seen(&lost)], [None, None]);

    let server = Server::start_on(&store, &[]);
    server.ask(&format!("GET {}", lost.path()), &[]).expect_problem(404, "not-found");
    assert_eq!(found.status(&server)["received_parts"], json!([[1, 1], [3, 3]]));
    found.put(&server, 2);
    let file = found.finish(&server);
    server.expect_file(&file);
    server.finish(&[&file]);
}

#[test]
fn a_server_does_it_by_itself() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 2 * PART);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 2);
    let store = end(server);
    store.age_session(&session, 8 * DAY);
    let server = Server::start_on(&store, &["--maintenance-interval", "100ms", "--tombstone-ttl", "2d"]);
    // Ended and cleared, and not forgotten yet.
    server.expect_files(&[]);
    assert_eq!(session.status(&server)["status"], "FAILED");
    let store = end(server);
    store.age_session(&session, 2 * DAY);
    let server = Server::start_on(&store, &["--maintenance-interval", "100ms", "--tombstone-ttl", "2d"]);
    eventually("that it is forgotten", || {
        let status = server.ask(&format!("GET {}", session.path()), &[]).head.status;
        assert!(matches!(status, 200 | 404), "{status}");
        (status == 404).then_some(())
    });
    server.finish(&[]);
}
