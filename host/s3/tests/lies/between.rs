//! Intermediaries that respond in S3's place: a misconfigured ingress, a proxy with its own limits, a captive portal.
//! Their responses never count as absence, refusal or success.

use crate::support::{Framed, MIB, audit, content, options, read, sized};
use portico_s3::{S3Options, S3Store};
use portico_store::{
    Backend, ByteRange, Error, FileId, FinalKey, FinalReceipt, IfExists, PartOptions, PartReceipt, Reason, RecordName,
    Result, Scope, SessionId, TempKey, Token, assemble_final, put_final, put_part, stream,
};
use portico_test_servers::{Fault, FaultProxy, Lies, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Statuses that mean something from S3, and some that S3 never sends.
const STATUSES: [u16; 16] = [200, 204, 301, 307, 400, 401, 403, 404, 405, 409, 410, 412, 416, 429, 501, 503];

/// Longer than any grace time.
const PAST_GRACE: Duration = Duration::from_secs(25 * 60 * 60);

struct World {
    server: Server,
    bucket: String,
    proxy: FaultProxy,
    /// A host that reaches the server through the proxy.
    store: S3Store,
    /// A host that reaches the server directly.
    direct: S3Store,
}

/// Writes that were acknowledged before.
struct Kept {
    bytes: Vec<u8>,
    object: FinalKey,
    part: TempKey,
}

fn scope() -> Scope {
    Scope::root()
}

fn file(name: &str) -> FileId {
    FileId::parse(name).unwrap()
}

fn session() -> SessionId {
    SessionId::parse("session").unwrap()
}

fn record(name: &str) -> RecordName {
    RecordName::parse(name).unwrap()
}

/// Puts an object, with or without a known size.
async fn put_object(store: &S3Store, name: &str, bytes: &[u8], is_known: bool) -> Result<FinalReceipt> {
    let options = options(is_known.then_some(bytes.len()), IfExists::Fail);
    put_final(store, &scope(), &file(name), &mut Framed::new(bytes), options).await
}

/// Puts a part of the session.
async fn put_number(store: &S3Store, number: u32, bytes: &[u8], is_known: bool) -> Result<PartReceipt> {
    let options = PartOptions { expected: sized(is_known.then_some(bytes.len())), ..Default::default() };
    put_part(store, &scope(), &session(), number, &mut Framed::new(bytes), options).await
}

/// Returns the texts of an error and of its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("{error}\n"));
        next = error.source();
    }
    text
}

impl World {
    async fn new(server: Server) -> World {
        let (bucket, proxy) = (server.bucket().await, FaultProxy::start(&server).await);
        let at = |endpoint: &str| S3Options {
            part_size: 5 * MIB,
            retry: Duration::from_millis(100),
            endpoint: Some(endpoint.to_owned()),
            ..server.options(&bucket)
        };
        let direct = S3Store::open(at(server.endpoint())).await.expect("the store opens");
        let store = S3Store::open(at(proxy.endpoint())).await.expect("the store opens");
        World { server, bucket, proxy, store, direct }
    }

    async fn keep(&self) -> Kept {
        let bytes = content(6 * MIB, 1);
        let store = &self.direct;
        let put = put_object(store, "kept", &bytes, true).await.unwrap();
        let part = put_number(store, 1, &bytes, true).await.unwrap().key;
        store.create_record(&scope(), &record("kept"), b"value").await.unwrap();
        store.void_final(&scope(), &file("void"), &Reason::parse("aborted").unwrap()).await.unwrap();
        Kept { bytes, object: put.key, part }
    }

    /// Checks that all acknowledged writes are there, also after sweeps, and nothing else.
    async fn expect_kept(&self, kept: &Kept) {
        let store = &self.direct;
        for _ in 0..3 {
            assert!(read(store, &scope(), &kept.object).await.unwrap() == kept.bytes);
            let mut part = store.read_part(&scope(), &kept.part, ByteRange::default()).await.unwrap();
            assert!(stream::collect(&mut *part, 64 * MIB).await.unwrap() == kept.bytes);
            assert_eq!(store.get_record(&scope(), &record("kept")).await.unwrap().value, b"value");
            assert!(matches!(store.stat_final(&scope(), &file("void")).await, Err(Error::Gone(_))));
            assert_eq!(store.list_finals(&scope(), None, 10).await.unwrap().entries.len(), 1);
            assert_eq!(store.list_sessions(&scope(), None, 10).await.unwrap().entries, [session()]);
            assert_eq!(store.list_records(&scope(), "", None, 10).await.unwrap().entries, [record("kept")]);
            self.server.advance(PAST_GRACE);
            store.sweep().await.unwrap();
        }
        let left = audit::left(&self.server.client(), &self.bucket).await;
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

/// Runs every operation of a store, and returns the error of each. Names the operations that should have failed.
async fn operations(store: &S3Store, kept: &Kept) -> Vec<(&'static str, Error)> {
    let mut errors = Vec::new();
    let mut failed = |name: &'static str, result: Result<()>| match result {
        Ok(()) => panic!("{name} succeeds"),
        Err(error) => errors.push((name, error)),
    };
    let (scope, void) = (&scope(), &Reason::parse("aborted").unwrap());
    let other = TempKey { session: session(), number: 2, token: Token::random().unwrap() };
    failed("ready", store.ready().await);
    failed("stat_final", store.stat_final(scope, &file("kept")).await.map(drop));
    failed("stat_final of nothing", store.stat_final(scope, &file("nothing")).await.map(drop));
    failed("stat_final of a tombstone", store.stat_final(scope, &file("void")).await.map(drop));
    failed("read_final", store.read_final(scope, &kept.object, ByteRange::default()).await.map(drop));
    failed("open_final", store.open_final(scope, &file("kept")).await.map(drop));
    failed("stat_finals", store.stat_finals(scope, &[file("nothing"), file("kept")]).await.map(drop));
    failed("delete_final", store.delete_final(scope, &kept.object).await.map(drop));
    failed("list_finals", store.list_finals(scope, None, 10).await.map(drop));
    failed("void_final", store.void_final(scope, &file("new"), void).await.map(drop));
    failed("void_final of an object", store.void_final(scope, &file("kept"), void).await.map(drop));
    failed("purge_gone", store.purge_gone(scope, u64::MAX, None).await.map(drop));
    failed("read_part", store.read_part(scope, &kept.part, ByteRange::default()).await.map(drop));
    failed("read_part of none", store.read_part(scope, &other, ByteRange::default()).await.map(drop));
    failed("stat_part", store.stat_part(scope, &kept.part).await.map(drop));
    failed("delete_part", store.delete_part(scope, &kept.part).await.map(drop));
    failed("list_parts", store.list_parts(scope, &session(), None, 10).await.map(drop));
    failed("list_sessions", store.list_sessions(scope, None, 10).await.map(drop));
    failed("delete_session", store.delete_session(scope, &session()).await.map(drop));
    let parts = [kept.part.clone()];
    let assembled = assemble_final(store, scope, &file("new"), &parts, options(None, IfExists::Fail)).await;
    failed("assemble", assembled.map(drop));
    failed("create_record", store.create_record(scope, &record("new"), b"x").await.map(drop));
    failed("get_record", store.get_record(scope, &record("kept")).await.map(drop));
    failed("get_record of none", store.get_record(scope, &record("nothing")).await.map(drop));
    failed("replace_record", store.replace_record(scope, &record("kept"), "version", b"x").await.map(drop));
    failed("delete_record", store.delete_record(scope, &record("kept"), None).await.map(drop));
    failed("list_records", store.list_records(scope, "", None, 10).await.map(drop));
    failed("sweep", store.sweep().await.map(drop));
    failed("put_final", put_object(store, "new", b"content", false).await.map(drop));
    failed("put_final of a known size", put_object(store, "new", b"content", true).await.map(drop));
    failed("put_part", put_number(store, 2, b"content", true).await.map(drop));
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_for_an_answer_of_s3() {
    let world = World::new(Server::s3s().await).await;
    let kept = world.keep().await;
    for status in STATUSES {
        world.proxy.plan_all(1, Fault::Page(status));
        for (name, error) in operations(&world.store, &kept).await {
            let text = chain(&error);
            assert!(matches!(error, Error::Unavailable { .. }), "{status}, {name}: {text}");
            assert!(text.contains(&status.to_string()) || status < 300, "{status}, {name}: {text}");
            assert!(text.contains("not an answer of S3"), "{status}, {name}: {text}");
            assert_eq!(
                text.contains("a redirect to https://elsewhere.example/"),
                (300..400).contains(&status),
                "{text}"
            );
        }
        world.store.settle().await;
        world.proxy.clear();
    }
    world.expect_kept(&kept).await;
}

/// The same, with responses to some requests only: of one method, or for one kind of key.
#[tokio::test(flavor = "multi_thread")]
async fn lies_about_some_keys_cost_nothing() {
    let world = World::new(Server::s3s().await).await;
    let kept = world.keep().await;
    for status in [200, 403, 404, 412] {
        for lie in
            ["GET /receipt/", "GET /part/", "GET /record/", "HEAD /", "GET ?list-type", "GET ?uploads", "GET /mark/"]
        {
            let (method, what) = lie.split_once(' ').unwrap();
            world.proxy.only(move |line| line.starts_with(method) && line.contains(what));
            world.proxy.plan_all(1, Fault::Page(status));
            let store = &world.store;
            for result in [
                store.stat_final(&scope(), &file("kept")).await.map(drop),
                store.read_part(&scope(), &kept.part, ByteRange::default()).await.map(drop),
                store.get_record(&scope(), &record("kept")).await.map(drop),
                store.list_sessions(&scope(), None, 10).await.map(|page| assert_eq!(page.entries, [session()])),
                store.list_finals(&scope(), None, 10).await.map(|page| assert_eq!(page.entries.len(), 1)),
            ] {
                assert!(matches!(result, Ok(()) | Err(Error::Unavailable { .. })), "{status}, {lie}: {result:?}");
            }
            // A sweep may succeed, and must never remove anything.
            for _ in 0..3 {
                let swept = store.sweep().await;
                assert!(matches!(swept, Ok(_) | Err(Error::Unavailable { .. })), "{status}, {lie}: {swept:?}");
                world.server.advance(PAST_GRACE);
            }
            world.proxy.clear();
        }
    }
    world.expect_kept(&kept).await;
}

/// A page in place of the response to a write decides nothing: the store looks up the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_place_of_an_answer_leaves_the_outcome_open() {
    let world = World::new(Server::s3s().await).await;
    let kept = world.keep().await;
    for status in [200, 301, 403, 404, 405, 409, 412, 413, 502] {
        world.proxy.only(|line| line.starts_with("PUT ") && line.contains("/record/"));
        for fault in [Fault::Page(status), Fault::PageAfter(status)] {
            // Each case has its own name, because taking a deleted name costs two requests.
            let name = record(&format!("{}-{status}", if fault == Fault::Page(status) { "page" } else { "after" }));
            world.proxy.plan(1, fault);
            match world.store.create_record(&scope(), &name, b"x").await {
                Ok(_) => {}
                Err(Error::Unavailable { .. }) if fault == Fault::Page(status) => {
                    let there = world.direct.get_record(&scope(), &name).await;
                    assert!(matches!(there, Err(Error::NotFound)), "{fault:?}: {there:?}");
                    continue;
                }
                other => panic!("{fault:?}: {other:?}"),
            }
            assert_eq!(world.direct.get_record(&scope(), &name).await.unwrap().value, b"x", "{fault:?}");
            assert!(world.store.delete_record(&scope(), &name, None).await.unwrap());
        }
        world.proxy.clear();
    }
    world.expect_kept(&kept).await;
}

/// A hopeless request is not retried, and content that is too large for a proxy is reported as such.
#[tokio::test(flavor = "multi_thread")]
async fn content_too_large_for_a_proxy_is_reported_at_once() {
    let world = World::new(Server::s3s().await).await;
    let kept = world.keep().await;
    let patient = S3Options {
        endpoint: Some(world.proxy.endpoint().to_owned()),
        retry: Duration::from_secs(60),
        part_size: 5 * MIB,
        ..world.server.options(&world.bucket)
    };
    let patient = S3Store::open(patient).await.unwrap();
    world.proxy.only(|line| line.starts_with("PUT ") && (line.contains("/final/") || line.contains("/temp/")));
    let began = Instant::now();
    for (size, known) in [(1_000, true), (1_000, false), (12 * MIB, true), (12 * MIB, false)] {
        let bytes = content(size, 3);
        world.proxy.plan_all(1, Fault::Page(413));
        let limit = |result| match result {
            Err(Error::TooLarge { limit }) => limit,
            other => panic!("{size} {known}: {other:?}"),
        };
        let refused = limit(put_object(&patient, "new", &bytes, known).await.map(drop));
        assert!(refused < size as u64 && refused < 6 << 20, "{size} {known}: {refused}");
        assert!(limit(put_number(&patient, 2, &bytes, known).await.map(drop)) < size as u64);
        patient.settle().await;
    }
    for status in [301, 401, 403, 405, 501] {
        world.proxy.clear();
        world.proxy.plan_all(1, Fault::Page(status));
        let requests = world.proxy.seen().len();
        let there = patient.get_record(&scope(), &record("kept")).await;
        assert!(matches!(there, Err(Error::Unavailable { .. })), "{there:?}");
        assert_eq!(world.proxy.seen().len(), requests + 1, "{status} is repeated");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    world.proxy.clear();
    world.expect_kept(&kept).await;
}

/// An ingress that reloads its backends responds with 404 for seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_404_that_passes_is_waited_for() {
    let server = Server::s3s().await;
    let (bucket, proxy) = (server.bucket().await, FaultProxy::start(&server).await);
    let options = S3Options {
        endpoint: Some(proxy.endpoint().to_owned()),
        retry: Duration::from_secs(60),
        ..server.options(&bucket)
    };
    let store = S3Store::open(options).await.unwrap();
    store.create_record(&scope(), &record("kept"), b"value").await.unwrap();
    (1..=3).for_each(|nth| proxy.plan(nth, Fault::Page(404)));
    assert_eq!(store.get_record(&scope(), &record("kept")).await.unwrap().value, b"value");
}

/// Without request ids the response to a `HEAD` proves nothing, so a `GET` follows.
#[tokio::test(flavor = "multi_thread")]
async fn servers_may_have_no_request_ids() {
    let world = World::new(Server::lying(Lies { no_request_ids: true, ..Lies::default() }).await).await;
    let kept = world.keep().await;
    let bytes = content(11 * MIB, 4);
    // Of unknown size, so that its completion is looked up.
    let put = put_object(&world.store, "large", &bytes, false).await.unwrap();
    assert!(read(&world.store, &scope(), &put.key).await.unwrap() == bytes);
    // Data without a receipt is marked and then removed. Its mark is looked up first and is absent.
    let key = format!("store/final/main/nothing!{}", Token::random().unwrap());
    let lost = world.server.client().put_object().bucket(&world.bucket).key(&key);
    lost.body(aws_sdk_s3::primitives::ByteStream::from_static(b"lost")).send().await.unwrap();
    world.store.delete_final(&scope(), &put.key).await.unwrap();
    world.store.settle().await;
    world.store.purge_gone(&scope(), 0, None).await.unwrap();
    world.expect_kept(&kept).await;
}

/// This machine is suspended between the data of a put and its receipt. Sweeps of another host remove the data.
#[tokio::test(flavor = "multi_thread")]
async fn data_swept_during_a_suspension_is_not_acknowledged() {
    for is_part in [false, true] {
        let server = Server::s3s().await;
        let bucket = server.bucket().await;
        let other = Arc::new(S3Store::open(server.options(&bucket)).await.unwrap());
        let server = Arc::new(server);
        let is_armed = Arc::new(AtomicBool::new(false));
        let suspend = {
            let (server, other, is_armed) = (server.clone(), other.clone(), is_armed.clone());
            move |step: &'static str| {
                if step == "slot" && is_armed.swap(false, Ordering::Relaxed) {
                    let (server, other) = (server.clone(), other.clone());
                    tokio::task::block_in_place(|| {
                        tokio::runtime::Handle::current().block_on(async move {
                            for _ in 0..2 {
                                server.advance(PAST_GRACE);
                                other.sweep().await.unwrap();
                            }
                        });
                    });
                }
                false
            }
        };
        let store = S3Store::open_with_fault(server.options(&bucket), suspend).await.unwrap();
        for (round, suspended) in [true, false].into_iter().enumerate() {
            is_armed.store(suspended, Ordering::Relaxed);
            let put = if is_part {
                put_number(&store, 1, b"content", true).await.map(drop)
            } else {
                put_object(&store, "file", b"content", false).await.map(drop)
            };
            match put {
                Err(Error::Unavailable { .. }) if suspended => {}
                Ok(()) if !suspended => {}
                other => panic!("{round}: {other:?}"),
            }
            assert!(!is_armed.load(Ordering::Relaxed));
            store.settle().await;
            let finals = other.list_finals(&scope(), None, 10).await.unwrap().entries.len();
            let sessions = other.list_sessions(&scope(), None, 10).await.unwrap().entries.len();
            assert_eq!(finals + sessions, round, "what can be seen");
        }
        for _ in 0..2 {
            server.advance(PAST_GRACE);
            other.sweep().await.unwrap();
        }
        let left = audit::left(&server.client(), &bucket).await;
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

/// A receipt that a late request wrote has its data, also where slots are written without conditions and the next
/// attempt was refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_stays_unknown_when_the_next_attempt_is_refused() {
    for is_part in [false, true] {
        let lies = Lies { ignores_if_match: true, ignores_if_none_match: true, ..Lies::default() };
        let server = Server::lying(lies).await;
        let (bucket, proxy) = (server.bucket().await, FaultProxy::start(&server).await);
        let options = S3Options {
            endpoint: Some(proxy.endpoint().to_owned()),
            single_runner: true,
            timeout: Duration::from_secs(2),
            retry: Duration::from_secs(30),
            ..server.options(&bucket)
        };
        let store = S3Store::open(options).await.unwrap();
        proxy.only(|line| line.starts_with("PUT ") && (line.contains("/part/") || line.contains("/receipt/")));
        proxy.plan(1, Fault::Delay(Duration::from_secs(6)));
        proxy.plan(2, Fault::Error(403, "AccessDenied"));
        let put = if is_part {
            put_number(&store, 1, b"content", false).await.map(drop)
        } else {
            put_object(&store, "file", b"content", false).await.map(drop)
        };
        assert!(matches!(put, Err(Error::Unavailable { .. })), "{put:?}");
        store.settle().await;
        proxy.idle().await;
        // The first attempt has been executed by now.
        let left = audit::left(&server.client(), &bucket).await;
        assert!(left.is_empty(), "{left:#?}");
        let there = match is_part {
            false => store.list_finals(&scope(), None, 10).await.unwrap().entries.len(),
            true => store.list_sessions(&scope(), None, 10).await.unwrap().entries.len(),
        };
        assert_eq!(there, 1);
    }
}
