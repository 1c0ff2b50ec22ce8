//! Something between the server and S3 answers itself.

use crate::fixture::command::{client, done};
use crate::fixture::session::PART;
use crate::fixture::{Pattern, Session, eventually, run};
use crate::outage::behind_a_proxy_with;
use crate::{S3Server, finish_after_failures};
use portico_test_servers::Fault;
use serde_json::json;
use std::sync::Arc;

/// An ingress that has lost its way: nothing that exists is said to be gone, and neither maintenance nor sweep removes any
/// of it.
pub(crate) fn a_page_of_a_proxy_is_no_absence(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy_with(s3, "100ms");
    let kept = server.put("kept", &Pattern::new(1, 1_000));
    let content = Pattern::new(2, 3 * PART);
    let session = Session::begin(&server, &content, PART);
    session.put(&server, 1);
    session.put(&server, 3);
    let url = format!("http://{}", server.addr);
    for kinds in [&["/record/"][..], &["/receipt/"], &["/part/", "/record/", "/receipt/"]] {
        for status in [404, 200, 412] {
            proxy.only(move |line| !line.starts_with("PUT ") && kinds.iter().any(|kind| line.contains(kind)));
            proxy.plan_all(1, Fault::Page(status));
            if kinds.contains(&"/receipt/") {
                for method in ["GET", "HEAD", "DELETE"] {
                    let answer = server.ask(&format!("{method} {}", kept.path()), &[]);
                    assert_eq!(answer.head.status, 503, "{method}, {status}: {answer:?}");
                }
                for flags in [&["--force"][..], &[]] {
                    let said = run(client(&url, "rm", &[flags, &["--retry", "0s", &*kept.id]].concat()));
                    assert_eq!(said.code, Some(1), "{status}: {said:?}");
                }
            }
            if kinds.contains(&"/record/") {
                server.ask(&format!("GET {}", session.path()), &[]).expect_problem(503, "unavailable");
                session.part(&server, 2).expect_problem(503, "unavailable");
                session.finalize(server.addr).expect_problem(503, "unavailable");
            }
            // A sweep is a process of its own, and on other servers it would take the store from this one.
            if s3.has_conditions() {
                let swept = run(server.store.command("sweep"));
                assert!(swept.code == Some(0) || swept.err.contains("not an answer of S3"), "{swept:?}");
                assert!(!swept.out.contains("cleared 1"), "{swept:?}");
            }
            proxy.clear();
        }
    }
    assert_eq!(session.status(&server)["received_parts"], json!([[1, 1], [3, 3]]));
    session.put(&server, 2);
    let file = session.finish(&server);
    [&kept, &file].into_iter().for_each(|file| server.expect_file(file));
    assert_eq!(done(client(&url, "rm", &[&kept.id])), [format!("removed {}", kept.id)]);
    finish_after_failures(s3, server, &[&file]);
}

/// What a proxy refuses because of its size, the client is told so, and the log says by whom.
pub(crate) fn a_proxy_that_takes_less_is_told_of(s3: &Arc<S3Server>) {
    let (server, proxy) = behind_a_proxy_with(s3, "60s");
    proxy.only(|line| line.starts_with("PUT ") && line.contains("/final/"));
    proxy.plan_all(1, Fault::Page(413));
    let content = Pattern::new(1, 100_000);
    let mut connection = server.connect();
    connection.send_put("/files/refused", &[], &content);
    let refused = connection.response();
    let problem = refused.expect_problem(413, "too-large");
    assert_eq!(problem["limit"], 99_999, "{problem}");
    let expect_logged = |words: &str| eventually(words, || server.log().contains(words).then_some(()));
    expect_logged("413 of between/1.0, which is not an answer of S3");
    proxy.clear();
    proxy.plan_all(1, Fault::Page(301));
    server.ask("GET /files/refused", &[]).expect_problem(503, "unavailable");
    expect_logged("301 of between/1.0, which is not an answer of S3, a redirect to https://elsewhere.example/");
    proxy.clear();
    let file = server.put("refused", &content);
    finish_after_failures(s3, server, &[&file]);
}
