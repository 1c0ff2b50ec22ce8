//! Requests for one session that come at once: whatever the order, all who are answered agree.

use crate::fixture::session::PART;
use crate::fixture::{Connection, Pattern, Response, Server, Session, Stored, eventually};
use serde_json::{Value, json};
use std::sync::Barrier;

/// A request that waits for its turn.
type Ask<'a> = Box<dyn FnOnce() -> Response + Send + 'a>;

/// Sends these at once, and answers their responses in order.
fn at_once(asks: Vec<Ask<'_>>) -> Vec<Response> {
    let start = &Barrier::new(asks.len());
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for ask in asks {
            running.push(scope.spawn(move || {
                start.wait();
                ask()
            }));
        }
        running.into_iter().map(|run| run.join().expect("a client")).collect()
    })
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    let mut statuses: Vec<u16> = responses.iter().map(|response| response.head.status).collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn finalizes_at_once_make_one_file() {
    const CLIENTS: usize = 8;
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for round in 0..4 {
        let content = Pattern::new(round, 4 * PART + 1);
        let session = Session::begin(&server, &content, PART);
        // In an order in which the digest has to be made at the end.
        (1..=5).rev().for_each(|number| session.put(&server, number));
        let finalize = || Box::new(|| session.finalize(server.addr)) as Ask<'_>;
        let answers = at_once((0..CLIENTS).map(|_| finalize()).collect());
        let told: Vec<Value> = answers.iter().map(Response::json).collect();
        assert_eq!(statuses(&answers), [vec![200; CLIENTS - 1], vec![201]].concat(), "{told:?}");
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        let made = answers.iter().find(|answer| answer.head.status == 201).expect("one");
        files.push(Stored::new(made, &content));
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn sessions_of_one_key_at_once_are_one() {
    const CLIENTS: usize = 8;
    let server = Server::start(&[]);
    let content = Pattern::new(1, PART);
    for round in 0..4 {
        let key = json!({"idempotency_key": format!("key-{round}")});
        let begin = || {
            let key = key.clone();
            Box::new(|| Session::try_begin(&server, &content, PART, key)) as Ask<'_>
        };
        let answers = at_once((0..CLIENTS).map(|_| begin()).collect());
        assert_eq!(statuses(&answers), [vec![200; CLIENTS - 1], vec![201]].concat());
        let ids: Vec<String> = answers.iter().map(|answer| Session::of(answer, &content).id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    server.finish(&[]);
}

#[test]
fn one_part_from_two_clients_at_once() {
    let server = Server::start(&[]);
    let (one, other) = (Pattern::new(1, 8 * PART), Pattern::new(2, 8 * PART));
    let mut files = Vec::new();
    for round in 0..8 {
        let session = Session::begin(&server, &one, 8 * PART);
        let same = round % 2 == 0;
        let put = |content: &Pattern| {
            let content = content.clone();
            let (session, server) = (&session, &server);
            let put = move || session.try_part_of(&mut server.connect(), 1, &[], &content).expect("an answer");
            Box::new(put) as Ask<'_>
        };
        let answers = at_once(vec![put(&one), put(if same { &one } else { &other })]);
        let expected = if same { [200, 201] } else { [201, 409] };
        assert_eq!(statuses(&answers), expected, "{round}");
        let won = if answers[0].head.status < 300 { &one } else { &other };
        let file = Stored::new(&session.finalize(server.addr), won);
        server.expect_file(&file);
        files.push(file);
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

/// Either the session is aborted or there is a file, and nothing is left of it.
#[test]
fn an_abort_and_a_finalize_at_once() {
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for round in 0..12 {
        let content = Pattern::new(round, 3 * PART);
        let session = Session::begin(&server, &content, PART);
        (1..=3).for_each(|number| session.put(&server, number));
        let abort: Ask<'_> = Box::new(|| session.abort(&server));
        let finalize: Ask<'_> = Box::new(|| session.finalize(server.addr));
        let answers = at_once(vec![abort, finalize]);
        let status = session.status(&server)["status"].clone();
        match (answers[0].head.status, answers[1].head.status) {
            (204, 410) => assert_eq!(status, "ABORTED"),
            (409, 201) => {
                assert_eq!(status, "COMPLETE");
                files.push(Stored::new(&answers[1], &content));
            }
            other => panic!("{other:?}: {answers:?}"),
        }
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

/// A part that is acknowledged while the session ends is in the file, or nobody was told that it is.
#[test]
fn a_part_and_the_end_of_its_session_at_once() {
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for round in 0..12 {
        let content = Pattern::new(round, 3 * PART);
        let session = Session::begin(&server, &content, PART);
        (1..=2).for_each(|number| session.put(&server, number));
        let put: Ask<'_> = Box::new(|| session.part(&server, 3));
        let end: Ask<'_> = match round % 2 {
            0 => Box::new(|| session.finalize(server.addr)),
            _ => Box::new(|| session.abort(&server)),
        };
        let answers = at_once(vec![put, end]);
        match (round % 2, answers[0].head.status, answers[1].head.status) {
            // It came in time, or the file was not made without it.
            (0, 201, 201) => files.push(Stored::new(&answers[1], &content)),
            (0, 201, 400) => files.push(session.finish(&server)),
            (1, 201 | 410, 204) => assert_eq!(session.status(&server)["status"], "ABORTED"),
            other => panic!("{other:?}: {answers:?}"),
        }
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_running_part_of_a_session_that_ends_is_told_so() {
    let server = Server::start(&[]);
    let content = Pattern::new(1, 40 << 20);
    let session = Session::begin(&server, &content, 20 << 20);
    session.put(&server, 1);
    let mut connection = Connection::open(server.addr);
    connection.request(&format!("PUT {}", session.part_path(2)), &[("Content-Length", "20971520")]);
    content.pieces_of(20 << 20..36 << 20).for_each(|piece| connection.send(piece));
    eventually("the part under way", || (!server.store.leftovers().is_empty()).then_some(()));
    assert_eq!(session.abort(&server).head.status, 204);
    let _ = content.pieces_of(36 << 20..40 << 20).try_for_each(|piece| connection.try_send(piece));
    connection.response().expect_problem(410, "gone");
    server.finish(&[]);
}

/// DELETE of a part that is being sent again: it comes before or after it, and the session knows which.
#[test]
fn a_delete_and_a_put_of_one_part_at_once() {
    let server = Server::start(&[]);
    let mut files = Vec::new();
    for round in 0..8 {
        let content = Pattern::new(round, 2 * PART);
        let session = Session::begin(&server, &content, PART);
        (1..=2).for_each(|number| session.put(&server, number));
        let put: Ask<'_> = Box::new(|| session.part(&server, 2));
        let delete: Ask<'_> = Box::new(|| server.ask(&format!("DELETE {}", session.part_path(2)), &[]));
        let answers = at_once(vec![put, delete]);
        assert_eq!(answers[1].head.status, 204);
        let is_there = session.status(&server)["received_parts"] == json!([[1, 2]]);
        match answers[0].head.status {
            201 => assert!(is_there, "it was stored anew"),
            // It was there when it was compared; or went while it was.
            200 | 503 => {}
            other => panic!("{other}: {answers:?}"),
        }
        if !is_there {
            session.put(&server, 2);
        }
        files.push(session.finish(&server));
    }
    server.finish(&files.iter().collect::<Vec<_>>());
}
