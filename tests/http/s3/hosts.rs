//! Several servers of one bucket.

use crate::fixture::{Connection, Pattern, Server, Stored, eventually};
use crate::{S3Server, Store, finish_after_failures};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) fn a_file_of_one_server_is_a_file_of_the_other(s3: &Arc<S3Server>) {
    const PUTS: u64 = 20;
    let store = Arc::new(Store::on(s3));
    let servers = [Server::start_on(&store, &[]), Server::start_on(&store, &[])];
    let [one, other] = &servers;
    let file = one.put("shared", &Pattern::new(1, 9 << 20));
    other.expect_file(&file);
    let mut connection = other.connect();
    connection.request(&format!("GET {}", file.path()), &[("Range", "bytes=1000-8999999")]);
    let head = connection.head();
    head.expect(206, &[("content-range", Some("bytes 1000-8999999/9437184"))]);
    connection.expect_content(&head, &file.content, 1_000..9_000_000);
    assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    for server in &servers {
        server.ask(&format!("GET {}", file.path()), &[]).expect_problem(410, "gone");
        server.ask(&format!("DELETE {}", file.path()), &[]).expect_problem(410, "gone");
    }

    let files: Vec<Stored> = std::thread::scope(|scope| {
        let put = |turn: u64| {
            let server = &servers[turn as usize % 2];
            scope.spawn(move || server.put("at-once", &Pattern::new(turn, turn * 500_009)))
        };
        let puts: Vec<_> = (0..PUTS).map(put).collect();
        puts.into_iter().map(|put| put.join().expect("a put")).collect()
    });
    for (turn, file) in files.iter().enumerate() {
        servers[(turn + 1) % 2].expect_file(file);
    }
    let files: Vec<_> = files.iter().collect();
    let [one, other] = servers;
    one.stop(&files);
    other.finish(&files);
}

pub(crate) fn a_server_that_is_killed_takes_nothing_acknowledged_with_it(s3: &Arc<S3Server>) {
    const CLIENTS: u64 = 6;
    /// Of one request, of several, and of none.
    const SIZES: [u64; 4] = [100_000, 12 << 20, 0, 1 << 20];
    let store = Arc::new(Store::on(s3));
    let (mut one, other) = (Server::start_on(&store, &[]), Server::start_on(&store, &[]));
    let (acknowledged, killed) = (AtomicU64::new(0), AtomicBool::new(false));
    let client = |client: u64| {
        let mut files = Vec::new();
        let mut connection = Connection::open(one.addr);
        for turn in 0.. {
            let content = Pattern::new(client << 16 | turn, SIZES[((client + turn) % SIZES.len() as u64) as usize]);
            match connection.try_put("/files/until-killed", &content) {
                Ok(response) => files.push(Stored::new(&response, &content)),
                Err(error) => {
                    assert!(killed.load(Ordering::Relaxed), "the server fails before it is killed: {error}");
                    return (files, content);
                }
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        unreachable!("no server lives that long")
    };
    let mut files = Vec::new();
    let mut unanswered = Vec::new();
    std::thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        let some = || (acknowledged.load(Ordering::Relaxed) >= 2 * CLIENTS).then_some(());
        eventually("some puts", some);
        eventually("a put under way", || (!store.leftovers().is_empty()).then_some(()));
        killed.store(true, Ordering::Relaxed);
        one.signal(Signal::KILL);
        for client in clients {
            let (put, cut) = client.join().expect("a client");
            files.extend(put);
            unanswered.push(cut);
        }
    });
    one.wait();
    files.push(other.put("after", &Pattern::new(0, 1_000)));
    // What the other has beyond that was acknowledged to a client that had no time to hear it, and is whole.
    for id in store.finals().into_iter().filter(|id| files.iter().all(|file| file.id != *id)).collect::<Vec<_>>() {
        let put = unanswered.iter().position(|content| store.has_content(&id, content));
        let put = put.unwrap_or_else(|| panic!("nobody put {id}, or not whole"));
        files.push(Stored { id, content: unanswered.remove(put) });
    }
    finish_after_failures(s3, other, &files.iter().collect::<Vec<_>>());
}
