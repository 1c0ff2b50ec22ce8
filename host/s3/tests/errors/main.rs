//! Errors of S3 and the resulting errors of a caller: the table of `failure.rs`, seen from outside.

mod front;
#[path = "../support/mod.rs"]
mod support;

use front::{Answer, Front};
use portico_s3::{Credentials, CredentialsSource, OpenError, S3Options, S3Store};
use portico_store::{
    Backend, Error, FileId, IfExists, PartOptions, RecordName, Result, Scope, SessionId, put_final, put_part, stream,
};
use portico_test_servers::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::options;

/// The error that a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Denied,
    NoSpace,
    /// With the value of `Retry-After`, in seconds.
    Unavailable(Option<u32>),
    Internal,
    Other,
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::Denied(_) => Kind::Denied,
        Error::NoSpace => Kind::NoSpace,
        Error::Unavailable { retry_after, .. } => Kind::Unavailable(*retry_after),
        Error::Internal(_) => Kind::Internal,
        _ => Kind::Other,
    }
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

/// Returns options with short time limits: every failure is reported within [`LIMIT`].
fn short(server: &Server, bucket: &str, endpoint: &str) -> S3Options {
    let mut options = server.options(bucket);
    options.endpoint = Some(endpoint.to_owned());
    options.retry = Duration::from_secs(1);
    options.timeout = Duration::from_secs(1);
    options
}

const LIMIT: Duration = Duration::from_secs(10);

struct World {
    server: Server,
    bucket: String,
    front: Front,
}

impl World {
    async fn new() -> World {
        let server = Server::s3s().await;
        let (bucket, front) = (server.bucket().await, Front::start(server.endpoint()).await);
        World { server, bucket, front }
    }

    fn options(&self) -> S3Options {
        short(&self.server, &self.bucket, &self.front.endpoint)
    }
}

fn record() -> RecordName {
    RecordName::parse("record").unwrap()
}

async fn put(store: &S3Store, name: &str) -> Result<()> {
    let (file, content) = (FileId::parse(name).unwrap(), &mut stream::from_bytes("content"));
    put_final(store, &Scope::root(), &file, content, options(None, IfExists::Fail)).await.map(drop)
}

async fn part(store: &S3Store) -> Result<()> {
    let (session, content) = (SessionId::parse("session").unwrap(), &mut stream::from_bytes("content"));
    put_part(store, &Scope::root(), &session, 0, content, PartOptions::default()).await.map(drop)
}

/// Runs one operation of each kind, and returns their errors.
async fn operations(store: &S3Store) -> Vec<Error> {
    let scope = Scope::root();
    let mut errors = Vec::new();
    errors.extend(put(store, "file").await.err());
    errors.extend(part(store).await.err());
    errors.extend(store.create_record(&scope, &record(), b"value").await.err());
    errors.extend(store.get_record(&scope, &record()).await.err());
    errors.extend(store.list_finals(&scope, None, 10).await.err());
    errors.extend(store.ready().await.err());
    errors
}

/// Checks that nothing of [`operations`] is visible, and that all of them succeed now.
async fn can_be_done(store: &S3Store) {
    let scope = Scope::root();
    store.settle().await;
    assert!(store.list_finals(&scope, None, 10).await.unwrap().entries.is_empty());
    assert!(store.list_sessions(&scope, None, 10).await.unwrap().entries.is_empty());
    assert!(store.list_records(&scope, "", None, 10).await.unwrap().entries.is_empty());
    put(store, "file").await.unwrap();
    part(store).await.unwrap();
    store.create_record(&scope, &record(), b"value").await.unwrap();
}

async fn answers(answer: Answer, expected: Kind) {
    let world = World::new().await;
    let store = S3Store::open(world.options()).await.expect("the store opens");
    world.front.answer(Some(answer));
    let began = Instant::now();
    match S3Store::open(world.options()).await {
        Err(OpenError::Server { location, endpoint, cause }) => {
            assert_eq!(kind(&cause), expected, "{cause:?}");
            assert!(location.contains(&world.bucket) && endpoint == world.front.endpoint);
            check_request_id(&answer, &cause);
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opens"),
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let began = Instant::now();
    let errors = operations(&store).await;
    assert!(began.elapsed() < LIMIT * 6, "{:?}", began.elapsed());
    assert_eq!(errors.len(), 6);
    for error in &errors {
        assert_eq!(kind(error), expected, "{error:?}");
        check_request_id(&answer, error);
    }
    // If only writes are refused, a read does not show that.
    let only_puts = Answer { only_puts: true, ..answer };
    world.front.answer(Some(only_puts));
    for failed in [put(&store, "file").await, part(&store).await] {
        let error = failed.expect_err("it is refused");
        assert_eq!(kind(&error), expected, "{error:?}");
    }
    world.front.answer(None);
    can_be_done(&store).await;
}

fn check_request_id(answer: &Answer, error: &Error) {
    if answer.code.is_some() && !matches!(error, Error::NoSpace) {
        assert!(chain(error).contains(front::REQUEST_ID), "{}", chain(error));
    }
}

macro_rules! answers {
    ($($name:ident: $code:expr, $status:expr, $retry_after:expr => $kind:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let answer = Answer { code: $code, status: $status, retry_after: $retry_after, ..Answer::default() };
            answers(answer, $kind).await;
        }
    )*};
}

answers! {
    access_denied: Some("AccessDenied"), 403, None => Kind::Denied;
    unknown_key: Some("InvalidAccessKeyId"), 403, None => Kind::Denied;
    no_such_bucket: Some("NoSuchBucket"), 404, None => Kind::Unavailable(None);
    slow_down: Some("SlowDown"), 503, Some(7) => Kind::Unavailable(Some(7));
    expired_token: Some("ExpiredToken"), 400, None => Kind::Denied;
    skewed_clock: Some("RequestTimeTooSkewed"), 403, None => Kind::Unavailable(None);
    internal_error: Some("InternalError"), 500, None => Kind::Unavailable(None);
    quota_exceeded: Some("QuotaExceeded"), 403, None => Kind::NoSpace;
    not_implemented: Some("NotImplemented"), 501, None => Kind::Internal;
    something_unknown: Some("NobodyKnows"), 400, None => Kind::Internal;
    a_page_of_a_proxy: None, 502, None => Kind::Unavailable(None);
}

/// Neither a silent server nor an unused address blocks an operation for long.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_reported_in_time() {
    let world = World::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), free] {
        let began = Instant::now();
        match S3Store::open(short(&world.server, &world.bucket, &format!("http://{address}"))).await {
            Err(OpenError::Server { cause, .. }) => assert_eq!(kind(&cause), Kind::Unavailable(None), "{cause:?}"),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it opens"),
        }
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    }
    let store = S3Store::open(world.options()).await.expect("the store opens");
    world.front.answer(Some(Answer { silent: true, ..Answer::default() }));
    let began = Instant::now();
    for error in operations(&store).await {
        assert_eq!(kind(&error), Kind::Unavailable(None), "{error:?}");
    }
    assert!(began.elapsed() < LIMIT * 6, "{:?}", began.elapsed());
    world.front.answer(None);
    can_be_done(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_and_wrong_ones() {
    let world = World::new().await;
    let none = CredentialsSource::new(async || Err("there are none"));
    let wrong = Credentials::new(world.server.access_key(), "not the secret");
    for credentials in [none, wrong.into()] {
        let mut options = world.options();
        options.credentials = Some(credentials);
        match S3Store::open(options).await {
            Err(OpenError::Server { cause, .. }) => assert_eq!(kind(&cause), Kind::Denied, "{}", chain(&cause)),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it opens"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_gives_credentials_and_is_asked_again_before_they_expire() {
    let world = World::new().await;
    let keys = Credentials::new(world.server.access_key(), world.server.secret_key());
    let asked = Arc::new(AtomicUsize::new(0));
    let source = CredentialsSource::new({
        let asked = asked.clone();
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            // So soon that each request asks.
            let expires = Some(SystemTime::now() + Duration::from_secs(1));
            let keys = Credentials { expires, ..keys.clone() };
            async move { Ok::<_, std::convert::Infallible>(keys) }
        }
    });
    let mut options = world.options();
    options.credentials = Some(source);
    let store = S3Store::open(options).await.expect("the store opens");
    let opened = asked.load(Ordering::Relaxed);
    assert!(opened > 0, "it was asked");
    can_be_done(&store).await;
    assert!(asked.load(Ordering::Relaxed) > opened, "it was asked again");
    let shown = format!("{:?}", Credentials::new("id", "hidden"));
    assert!(shown.contains("id") && !shown.contains("hidden"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_certificates_that_holds_none() {
    let world = World::new().await;
    let folder = std::env::temp_dir().join(format!("portico-ca-{:016x}", fastrand::u64(..)));
    std::fs::create_dir(&folder).unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let written = [
        ("absent.pem", None),
        ("text.pem", Some("no certificate".to_owned())),
        ("cut.pem", Some(format!("{begin}MIIB"))),
        ("noise.pem", Some(format!("{begin}bm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"))),
    ];
    for (name, text) in written {
        let path = folder.join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let mut options = world.options();
        options.ca_file = Some(path.clone());
        match S3Store::open(options).await {
            Err(OpenError::CaFile { path: named, reason }) => assert!(named == path && !reason.is_empty()),
            Err(other) => panic!("{name}: {other:?}"),
            Ok(_) => panic!("{name}: it opens"),
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A self-signed certificate is trusted only if the options name it.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ones_own() {
    let server = Server::s3s().await;
    let bucket = server.bucket().await;
    let front = Front::start_with_tls(server.endpoint()).await;
    let mut options = short(&server, &bucket, &front.endpoint);
    match S3Store::open(options.clone()).await {
        Err(OpenError::Server { cause, .. }) => {
            assert_eq!(kind(&cause), Kind::Unavailable(None), "{cause:?}");
            assert!(chain(&cause).contains("certificate"), "{}", chain(&cause));
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opens"),
    }
    options.ca_file = Some(front::certificate());
    let store = S3Store::open(options).await.expect("the store opens");
    can_be_done(&store).await;
}
