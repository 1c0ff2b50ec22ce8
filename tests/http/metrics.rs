//! What monitoring is told: that it moves with what is done, and has the form that a scraper reads.

use crate::fixture::session::PART;
use crate::fixture::{Connection, Pattern, Server, Session, Stored, eventually};
use crate::portals::{LITTLE_CPU, hostile};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// The samples of one scrape, by name and labels as they are written.
struct Scrape {
    samples: BTreeMap<String, f64>,
    /// Of the text, in bytes.
    length: u64,
}

impl Scrape {
    /// Scrapes a server, and fails unless what comes has the form of OpenMetrics: each family has a type and a help, each
    /// sample a family and a name that goes with its type, nothing is there twice, and the end is marked.
    fn of(scraper: &mut Connection) -> Scrape {
        let response = scraper.ask("GET /metrics", &[]);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.head.expect(200, &[("content-type", Some(kind)), ("cache-control", Some("no-store"))]);
        let text = String::from_utf8(response.body).expect("text");
        let lines = text.strip_suffix("# EOF\n").expect("the end").lines();
        let (mut types, mut helps, mut samples) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for line in lines {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (family, kind) = told.split_once(' ').expect("a type");
                assert_eq!(types.insert(family, kind), None, "{line}");
            } else if let Some(told) = line.strip_prefix("# HELP ") {
                let (family, help) = told.split_once(' ').expect("a help");
                assert!(helps.insert(family) && help.ends_with('.'), "{line}");
            } else if let Some(told) = line.strip_prefix("# UNIT ") {
                let (family, unit) = told.split_once(' ').expect("a unit");
                assert!(family.ends_with(&format!("_{unit}")), "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                let plain = name.split_once('{').map_or(name, |(plain, labels)| {
                    assert!(labels.ends_with("\"}"), "{line}");
                    plain
                });
                let suffixes = |kind: &str| match kind {
                    "counter" => ["_total"].as_slice(),
                    "gauge" => &[""],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    "info" => &["_info"],
                    other => panic!("a type of {other}"),
                };
                let of = |(family, kind): (&&str, &&str)| {
                    plain.strip_prefix(*family).is_some_and(|suffix| suffixes(kind).contains(&suffix))
                };
                assert!(types.iter().any(of), "of no family: {line}");
                let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
                assert_eq!(samples.insert(name.to_owned(), value), None, "{line}");
            }
        }
        assert_eq!(types.keys().copied().collect::<BTreeSet<_>>(), helps);
        Scrape { samples, length: text.len() as u64 }
    }

    /// A sample, such as `name{label="value"}`; 0 if nothing has happened yet that it counts.
    fn get(&self, name: &str) -> f64 {
        self.samples.get(name).copied().unwrap_or_default()
    }

    fn requests(&self, method: &str, status: u16) -> f64 {
        self.get(&format!("portico_http_requests_total{{method=\"{method}\",status=\"{status}\"}}"))
    }
}

#[test]
fn counters_move_with_what_is_done() {
    let server = Server::start(&[]);
    let mut scraper = server.connect();
    let before = Scrape::of(&mut scraper);
    let (content, length) = (Pattern::new(1, 70_000), 70_000.0);
    let file = server.put("counted", &content);
    server.expect_file(&file);
    server.expect_file(&file);
    assert_eq!(server.ask(&format!("HEAD {}", file.path()), &[]).head.status, 200);
    server.ask("GET /files/nothing", &[]).expect_problem(404, "not-found");
    server.ask("DELETE /health", &[]).expect_host_problem(405);

    // Scrapes are requests too, and count only when they are over.
    let (mut scrapes, mut scraped) = (1.0, before.length);
    let after = eventually("all exchanges to be counted", || {
        let scrape = Scrape::of(&mut scraper);
        let all = scrape.requests("GET", 200) >= scrapes + 2.0 && scrape.requests("DELETE", 405) == 1.0;
        if all {
            return Some(scrape);
        }
        scrapes += 1.0;
        scraped += scrape.length;
        None
    });
    assert_eq!(after.requests("PUT", 201), 1.0);
    assert_eq!(after.requests("HEAD", 200), 1.0);
    assert_eq!(after.requests("GET", 404), 1.0);
    let moved = |name: &str| after.get(name) - before.get(name);
    assert_eq!(moved("portico_http_received_bytes_total"), length);
    // Two times the file, the scrapes before this one, and short documents.
    let documents = moved("portico_http_sent_bytes_total") - 2.0 * length - scraped as f64;
    assert!((300.0..3_000.0).contains(&documents), "{documents} bytes of documents");
    assert_eq!(moved("portico_connections_accepted_total"), 6.0);

    let duration = |what: &str| after.get(&format!("portico_http_request_duration_seconds_{what}"));
    assert_eq!(duration("count{method=\"PUT\"}"), 1.0);
    assert_eq!(duration("bucket{le=\"+Inf\",method=\"PUT\"}"), 1.0);
    assert!(duration("sum{method=\"PUT\"}") > 0.0);
    let buckets = after.samples.iter().filter(|(name, _)| name.contains("_bucket{") && name.contains("\"PUT\""));
    assert_eq!(buckets.count(), 13);

    assert_eq!(after.get(&format!("portico_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert_eq!(after.get("portico_store_info{backend=\"local\",bucket=\"local\"}"), 1.0);
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs_f64();
    let age = now - after.get("process_start_time_seconds");
    assert!((0.0..600.0).contains(&age), "{age} s old");
    server.finish(&[&file]);
}

#[test]
fn nothing_that_a_client_chooses_becomes_a_label() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let mut ask = |names: &[&str]| {
        for name in names {
            connection.ask(&format!("{name} /files/{name}"), &[]).expect_problem(405, "method-not-allowed");
            connection.ask(&format!("GET /files/{name}?{name}"), &[(name, name)]).expect_problem(404, "not-found");
            connection.ask("GET /files/x", &[("Host", "evil.example")]).expect_host_problem(400);
        }
    };
    let mut scraper = server.connect();
    let mut counted = |least: f64| {
        eventually("the exchanges to be counted", || {
            let scrape = Scrape::of(&mut scraper);
            (scrape.requests("other", 405) == least && scrape.requests("GET", 200) > 0.0)
                .then(|| scrape.samples.into_keys().collect::<BTreeSet<_>>())
        })
    };
    ask(&["FIRST"]);
    let before = counted(1.0);
    ask(&["SECOND", "THIRD", "FOURTH", "M-SEARCH", "get"]);
    assert_eq!(counted(6.0), before);
    assert!(before.iter().all(|name| !name.contains("FIRST") && !name.contains("/files") && !name.contains("evil")));
    server.finish(&[]);
}

#[test]
fn what_runs_is_told_and_what_finds_no_room() {
    let server = Server::start(&["--max-requests", "1", "--max-connections", "2"]);
    let content = Pattern::new(1, 2_000);
    let mut running = server.connect();
    running.request("PUT /files/running", &[("Content-Length", "2000"), ("Expect", "100-continue")]);
    assert_eq!(running.head().status, 100);
    let mut scraper = server.connect();
    scraper.ask("GET /files/x", &[]).expect_host_problem(503);
    let mut third = server.connect();
    assert_eq!(third.response().head.status, 503);
    third.expect_end();

    let scrape = Scrape::of(&mut scraper);
    for (name, value) in [
        ("portico_refused_total{what=\"request\"}", 1.0),
        ("portico_refused_total{what=\"connection\"}", 1.0),
        ("portico_guests_running", 1.0),
        ("portico_guests_limit", 1.0),
        ("portico_connections_open", 2.0),
        ("portico_connections_limit", 2.0),
        ("portico_connections_accepted_total", 2.0),
        // The scrape is one too.
        ("portico_http_requests_running", 2.0),
    ] {
        assert_eq!(scrape.get(name), value, "{name}");
    }

    content.pieces().for_each(|piece| running.send(piece));
    let file = Stored::new(&running.response(), &content);
    drop(running);
    eventually("nothing to run", || {
        let scrape = Scrape::of(&mut scraper);
        let running = ["portico_guests_running", "portico_connections_open", "portico_http_requests_running"];
        (running.map(|name| scrape.get(name)) == [0.0, 1.0, 1.0]).then_some(())
    });
    server.finish(&[&file]);
}

#[test]
fn a_scrape_is_a_request_like_others() {
    let server = Server::start(&[]);
    let refused = server.ask("POST /metrics", &[]);
    refused.expect_host_problem(405);
    refused.head.expect(405, &[("allow", Some("GET, HEAD"))]);
    let length = server.ask("HEAD /metrics", &[]).head.field("content-length").and_then(|length| length.parse().ok());
    assert!(length.is_some_and(|length: u64| length > 1_000), "{length:?}");
    // It is told to whom everything is told, and to nobody else.
    let mut connection = server.connect();
    connection.send("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    connection.response().expect_host_problem(421);
    server.finish(&[]);
}

#[test]
fn how_guests_fail_is_counted() {
    let server = hostile(&LITTLE_CPU);
    let mut scraper = server.connect();
    let mut connection = server.connect();
    for path in ["/trap", "/trap", "/recurse", "/spin", "/silent", "/error"] {
        assert!(connection.ask(&format!("GET {path}"), &[]).head.status >= 500, "{path}");
    }
    connection.request("GET /head-then-return", &[]);
    connection.drain_to_end();
    let failures = [("trap", 4.0), ("deadline", 1.0), ("no_answer", 2.0), ("unfinished", 0.0), ("instantiation", 0.0)];
    eventually("the failures to be counted", || {
        let scrape = Scrape::of(&mut scraper);
        let told = |reason| scrape.get(&format!("portico_guest_failures_total{{reason=\"{reason}\"}}"));
        let cut = scrape.get("portico_http_responses_cut_total");
        (cut == 1.0 && failures.iter().all(|(reason, count)| told(*reason) == *count)).then_some(())
    });
    server.finish(&[]);
}

#[test]
fn uploads_are_counted_by_protocol_and_outcome() {
    let server = Server::start(&[]);
    let scrape = Scrape::of(&mut server.connect());
    let series = |scrape: &Scrape| scrape.samples.keys().filter(|name| name.contains("uploads_total{")).count();
    // All are there from the beginning, and no guest adds one.
    assert_eq!(series(&scrape), 5 * 4);
    let content = Pattern::new(1, 2 * PART);
    let whole = server.put("whole", &content);
    let mut connection = server.connect();
    let wrong = format!("sha-256=:{}=:", "A".repeat(43));
    connection.send_put("/files/wrong", &[("Repr-Digest", &wrong)], &content);
    assert_eq!(connection.response().head.status / 100, 4);
    let mut connection = server.connect();
    connection.request("PUT /files/cut", &[("Content-Length", "100000")]);
    connection.send([7; 1_000]);
    connection.reset();

    let session = Session::begin(&server, &content, PART);
    (1..=2).for_each(|number| session.put(&server, number));
    let finished = session.finish(&server);
    assert_eq!(session.finalize(server.addr).head.status, 200, "again");
    let aborted = Session::begin(&server, &content, PART);
    aborted.put(&server, 1);
    assert_eq!([204, 204], [aborted.abort(&server), aborted.abort(&server)].map(|response| response.head.status));

    eventually("the upload that was cut off to be counted", || (server.uploads("files", "failed") == 2).then_some(()));
    let told = |protocol| ["complete", "aborted", "expired", "failed"].map(|outcome| server.uploads(protocol, outcome));
    assert_eq!(told("files"), [1, 0, 0, 2]);
    assert_eq!(told("sessions"), [1, 1, 0, 0]);
    assert_eq!([told("forms"), told("tus"), told("resumable")], [[0; 4]; 3]);
    server.finish(&[&whole, &finished]);

    let server = hostile(&[]);
    assert_eq!(server.ask("GET /count", &[]).body, b"counted");
    assert_eq!([server.uploads("tus", "failed"), server.uploads("forms", "aborted")], [2, 1]);
    assert_eq!(series(&Scrape::of(&mut server.connect())), 5 * 4);
    server.finish(&[]);
}

#[test]
fn open_sessions_are_those_that_maintenance_saw() {
    let gauges = |server: &Server| ["", "_bytes"].map(|unit| server.metric(&format!("portico_sessions_open{unit}")));
    let server = Server::start(&["--maintenance-interval", "0s"]);
    assert_eq!(gauges(&server), [None, None], "without maintenance nobody knows");
    server.finish(&[]);

    let server = Server::start(&["--maintenance-interval", "20ms"]);
    let expect = |sessions: u64, bytes: u64| {
        let expected = [Some(sessions), Some(bytes)];
        eventually("the gauges to follow", || (gauges(&server) == expected).then_some(()));
    };
    expect(0, 0);
    let content = Pattern::new(1, 2 * PART + 100);
    let sessions: Vec<Session> = (0..3).map(|_| Session::begin(&server, &content, PART)).collect();
    // Those without a part hold nothing.
    sessions[..2].iter().for_each(|session| session.put(&server, 3));
    expect(2, 200);
    sessions[0].put(&server, 1);
    expect(2, PART + 200);
    sessions[0].put(&server, 2);
    let file = sessions[0].finish(&server);
    expect(1, 100);
    sessions.iter().skip(1).for_each(|session| assert_eq!(session.abort(&server).head.status, 204));
    expect(0, 0);
    server.finish(&[&file]);
}
