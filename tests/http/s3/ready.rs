//! `/ready`, which anybody may ask for as often as they like.

use super::outage::behind_a_proxy_with;
use crate::S3Server;
use crate::fixture::{DEADLINE, tell};
use portico_test_servers::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer is kept, and how long one is waited for.
const KEPT: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(5);

fn is_look(line: &str) -> bool {
    line.starts_with("GET ") && line.contains("/format")
}

pub(crate) fn a_thousand_questions_are_few_looks(s3: &Arc<S3Server>) {
    const CLIENTS: usize = 8;
    const QUESTIONS: usize = 1_000;
    let (server, proxy) = behind_a_proxy_with(s3, "3s");
    let looks = || proxy.seen().iter().filter(|line| is_look(line)).count();
    let before = looks();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut connection = server.connect();
            scope.spawn(move || {
                for question in 0..QUESTIONS / CLIENTS {
                    let line = if (client + question) % 2 == 0 { "GET /ready" } else { "HEAD /ready" };
                    assert_eq!(connection.ask(line, &[]).head.status, 200);
                }
            });
        }
    });
    let took = start.elapsed();
    let looks = looks() - before;
    // One at the start, and one whenever the answer before was old.
    let most = 2 + usize::try_from(took.as_millis() / KEPT.as_millis()).expect("a short time");
    tell(&format!("{QUESTIONS} questions in {} ms: {looks} looks", took.as_millis()));
    assert!((1..=most).contains(&looks), "{looks} looks in {took:?}");
    server.finish(&[]);
}

pub(crate) fn a_store_that_hangs_is_said_to_and_is_asked_once(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy_with(s3, "3s");
    let before = proxy.seen().len();
    proxy.plan_all(1, Fault::Delay(DEADLINE));
    for _ in 0..2 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| server.ask("GET /ready", &[]).expect_host_problem(503));
            }
        });
        let took = start.elapsed();
        assert!(took < WAIT + DEADLINE / 4, "{took:?}");
    }
    assert_eq!(proxy.seen().len() - before, 1, "looks pile up");
    // It lives nevertheless.
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    drop(server);
}
