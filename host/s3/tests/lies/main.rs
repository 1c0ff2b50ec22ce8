//! Servers that lie: opening a store detects each, and the guarantees of the store hold nevertheless.

mod between;
mod races;
#[path = "../support/mod.rs"]
mod support;

use portico_s3::{OpenError, S3Options, S3Store};
use portico_store::{
    Backend, ByteRange, Cursor, Error, FileId, IfExists, PartOptions, Reason, RecordName, Result, Scope, SessionId,
    TempKey, assemble_final, put_final, put_part, stream,
};
use portico_test_servers::{Lies, Server};
use std::sync::Arc;
use std::time::Duration;
use support::{Framed, MIB, audit, content, options, read, sha256, sized};
use tokio::task::JoinSet;

struct World {
    server: Server,
    bucket: String,
}

impl World {
    async fn new(tell: impl FnOnce(&mut Lies)) -> World {
        let server = Server::lying(lies(tell)).await;
        let bucket = server.bucket().await;
        World { server, bucket }
    }

    fn options(&self) -> S3Options {
        let mut options = self.server.options(&self.bucket);
        options.part_size = 5 * MIB;
        options
    }

    async fn open(&self) -> S3Store {
        S3Store::open(self.options()).await.expect("the store opens")
    }

    async fn open_alone(&self) -> S3Store {
        let options = S3Options { single_runner: true, ..self.options() };
        S3Store::open(options).await.expect("the store opens")
    }

    /// Two sweeps, each later than the grace time, leave no garbage.
    async fn audit(&self, store: &S3Store) {
        store.settle().await;
        for _ in 0..2 {
            self.server.advance(Duration::from_secs(25 * 60 * 60));
            store.sweep().await.unwrap();
        }
        let left = audit::left(&self.server.client(), &self.bucket).await;
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

fn lies(tell: impl FnOnce(&mut Lies)) -> Lies {
    let mut lies = Lies::default();
    tell(&mut lies);
    lies
}

/// Returns the capabilities that a store found missing.
fn lacking(store: &S3Store) -> Vec<&'static str> {
    let report = store.capabilities().report();
    assert!(report.iter().all(|finding| !finding.note.is_empty()));
    report.into_iter().filter(|finding| !finding.works).map(|finding| finding.name).collect()
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

/// Puts parts of those sizes in order. Returns their keys and content.
async fn parts(store: &S3Store, sizes: &[usize]) -> (Vec<TempKey>, Vec<u8>) {
    let (mut keys, mut bytes) = (Vec::new(), Vec::new());
    for (at, &size) in sizes.iter().enumerate() {
        let part = content(size, 1 + at as u64);
        let options =
            PartOptions { expected: sized(Some(size)), offset: Some(bytes.len() as u64), ..Default::default() };
        let put = put_part(store, &scope(), &session(), at as u32, &mut Framed::new(&part), options).await.unwrap();
        keys.push(put.key);
        bytes.extend_from_slice(&part);
    }
    (keys, bytes)
}

/// Checks that an assembly is right, whatever the server does to copies.
async fn assembles(store: &S3Store, name: &str, sizes: &[usize]) {
    let (keys, bytes) = parts(store, sizes).await;
    let made = assemble_final(store, &scope(), &file(name), &keys, options(None, IfExists::Fail)).await.unwrap();
    assert_eq!((made.size, made.sha256), (bytes.len() as u64, sha256(&bytes)));
    assert!(read(store, &scope(), &made.key).await.unwrap() == bytes);
}

/// Part sizes of which some must be copied in ranges, and some streamed.
const MIXED: [usize; 4] = [MIB, 11 * MIB, 5 * MIB, 1_000];

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_lacks_nothing() {
    let world = World::new(|_| {}).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), Vec::<&str>::new());
    assert_eq!(store.capabilities().report().len(), 7);
    assembles(&store, "file", &MIXED).await;
    world.audit(&store).await;
}

async fn conditions_ignored(tell: impl FnOnce(&mut Lies), lacks: &'static str) {
    let world = World::new(tell).await;
    match S3Store::open(world.options()).await {
        Err(OpenError::Lacks { capability, .. }) => assert!(capability.contains(lacks), "{capability}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opens"),
    }
    let store = Arc::new(world.open_alone().await);
    create_only_holds(&store).await;
    compare_and_swap_holds(&store).await;

    let younger = world.open_alone().await;
    let record = RecordName::parse("record").unwrap();
    let write = async |store: &S3Store| {
        let content = &mut stream::from_bytes("x");
        let put = put_final(store, &scope(), &file("late"), content, options(None, IfExists::Fail)).await;
        let key = TempKey { session: session(), number: 0, token: portico_store::Token::random().unwrap() };
        let results: [Result<()>; 4] = [
            put.map(drop),
            store.create_record(&scope(), &RecordName::parse("late").unwrap(), b"x").await.map(drop),
            store.delete_record(&scope(), &record, None).await.map(drop),
            store.void_final(&scope(), &file("void"), &Reason::parse("aborted").unwrap()).await.map(drop),
        ];
        assert!(!store.delete_part(&scope(), &key).await.unwrap());
        results
    };
    for refused in write(&store).await {
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    }
    for written in write(&younger).await {
        written.unwrap();
    }
    store.settle().await;
    world.audit(&younger).await;
}

async fn create_only_holds(store: &Arc<S3Store>) {
    let mut running = JoinSet::new();
    for racer in 0..16u64 {
        let store = store.clone();
        running.spawn(async move {
            let bytes = content(1_000, racer);
            let options = options(None, IfExists::Fail);
            let put = put_final(&*store, &scope(), &file("raced"), &mut Framed::new(&bytes), options).await;
            let part = PartOptions::default();
            let part = put_part(&*store, &scope(), &session(), 0, &mut Framed::new(&bytes), part).await;
            let name = RecordName::parse("raced").unwrap();
            let record = store.create_record(&scope(), &name, &bytes).await;
            (bytes, put, part, record)
        });
    }
    let (mut finals, mut parts, mut records) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(raced) = running.join_next().await {
        let (bytes, put, part, record) = raced.unwrap();
        match put {
            Ok(put) => finals.push((put, bytes.clone())),
            Err(error) => assert!(matches!(error, Error::Conflict), "{error:?}"),
        }
        match part {
            Ok(part) => parts.push((part, bytes.clone())),
            Err(error) => assert!(matches!(error, Error::Conflict), "{error:?}"),
        }
        match record {
            Ok(version) => records.push((version, bytes)),
            Err(error) => assert!(matches!(error, Error::Conflict), "{error:?}"),
        }
    }
    let ([(put, bytes)], [(part, part_bytes)], [(version, value)]) =
        (finals.as_slice(), parts.as_slice(), records.as_slice())
    else {
        panic!("{} finals, {} parts, {} records won", finals.len(), parts.len(), records.len());
    };
    assert!(read(store, &scope(), &put.key).await.unwrap() == *bytes);
    let mut stream = store.read_part(&scope(), &part.key, ByteRange::default()).await.unwrap();
    assert!(stream::collect(&mut *stream, MIB).await.unwrap() == *part_bytes);
    let record = store.get_record(&scope(), &RecordName::parse("raced").unwrap()).await.unwrap();
    assert_eq!((record.version, record.value), (version.clone(), value.clone()));
}

async fn compare_and_swap_holds(store: &Arc<S3Store>) {
    let name = RecordName::parse("record").unwrap();
    store.create_record(&scope(), &name, b"0").await.unwrap();
    let mut running = JoinSet::new();
    for _ in 0..16 {
        let (store, name) = (store.clone(), name.clone());
        running.spawn(async move {
            loop {
                let there = store.get_record(&scope(), &name).await.unwrap();
                let count: u32 = std::str::from_utf8(&there.value).unwrap().parse().unwrap();
                let next = (count + 1).to_string();
                match store.replace_record(&scope(), &name, &there.version, next.as_bytes()).await {
                    Ok(_) => return,
                    Err(Error::Conflict) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.get_record(&scope(), &name).await.unwrap().value, b"16");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignores_if_none_match() {
    conditions_ignored(|lies| lies.ignores_if_none_match = true, "If-None-Match").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignores_if_match() {
    conditions_ignored(|lies| lies.ignores_if_match = true, "If-Match").await;
}

/// Checks a lie from the beginning, and one that begins after the store was opened.
async fn copies_lie(tell: impl Fn(&mut Lies) + Copy) {
    let world = World::new(tell).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), ["copies"]);
    assembles(&store, "file", &MIXED).await;
    assert_eq!(store.traffic().streamed, MIXED.iter().sum::<usize>() as u64);
    assert_eq!(store.traffic().read_back, 0);
    world.audit(&store).await;

    let world = World::new(|_| {}).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), Vec::<&str>::new());
    world.server.lie(lies(tell));
    assembles(&store, "mixed", &MIXED).await;
    assembles(&store, "whole", &[5 * MIB, 5 * MIB, 1_000]).await;
    world.audit(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_stores_nothing() {
    copies_lie(|lies| lies.copy_stores_nothing = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_not_implemented() {
    copies_lie(|lies| lies.copy_not_implemented = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_ignores_range() {
    copies_lie(|lies| lies.copy_ignores_range = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checksum_not_verified() {
    let world = World::new(|lies| lies.checksum_not_verified = true).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), ["checksums"]);
    assembles(&store, "file", &MIXED).await;
    world.audit(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn range_ignored() {
    let world = World::new(|lies| lies.range_ignored = true).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), ["ranges"]);
    let bytes = content(700_000, 3);
    let content = &mut Framed::new(&bytes);
    let key = put_final(&store, &scope(), &file("file"), content, options(None, IfExists::Fail)).await.unwrap().key;
    for (start, end) in [(0, 1), (1, 700_000), (699_999, 700_000), (300_000, 300_000), (123_456, 654_321)] {
        let range = ByteRange { start: start as u64, end: Some(end as u64) };
        let mut stream = store.read_final(&scope(), &key, range).await.unwrap();
        assert!(stream::collect(&mut *stream, MIB).await.unwrap() == bytes[start..end], "{start}..{end}");
    }
    // Merged pieces are read by ranges.
    assembles(&store, "assembled", &MIXED).await;
    world.audit(&store).await;
}

/// No data is safe on such a server, so a store on it is not opened. After a repair it opens.
#[tokio::test(flavor = "multi_thread")]
async fn truncates_objects() {
    let refused = |opened: std::result::Result<S3Store, OpenError>| match opened {
        Err(OpenError::Lacks { capability, .. }) => assert!(capability.contains("whole"), "{capability}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opens"),
    };
    let world = World::new(|lies| lies.truncates_objects = true).await;
    refused(S3Store::open(world.options()).await);
    refused(S3Store::open(S3Options { single_runner: true, ..world.options() }).await);
    world.server.lie(Lies::default());
    let store = world.open().await;
    assembles(&store, "file", &MIXED).await;
    // An existing store is not opened either.
    world.server.lie(lies(|lies| lies.truncates_objects = true));
    refused(S3Store::open(world.options()).await);
    world.server.lie(Lies::default());
    world.audit(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_uploads() {
    let world = World::new(|lies| lies.loses_uploads = true).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), Vec::<&str>::new());
    let bytes = content(11 * MIB, 4);
    for (name, size) in [("known", Some(bytes.len())), ("unknown", None)] {
        let options = options(size, IfExists::Fail);
        let put = put_final(&store, &scope(), &file(name), &mut Framed::new(&bytes), options).await.unwrap();
        assert!(read(&store, &scope(), &put.key).await.unwrap() == bytes);
    }
    assembles(&store, "assembled", &MIXED).await;
    world.audit(&store).await;
}

/// An upload is aborted unless the server confirmed its completion, even if the object exists. No sweep is needed.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_uploads() {
    let world = World::new(|lies| lies.keeps_uploads = true).await;
    let store = world.open().await;
    let bytes = content(11 * MIB, 4);
    let options = options(Some(bytes.len()), IfExists::Fail);
    let put = put_final(&store, &scope(), &file("put"), &mut Framed::new(&bytes), options).await.unwrap();
    assert!(read(&store, &scope(), &put.key).await.unwrap() == bytes);
    assembles(&store, "assembled", &MIXED).await;
    store.settle().await;
    let uploads = world.server.client().list_multipart_uploads().bucket(&world.bucket).send().await.unwrap();
    let left: Vec<_> = uploads.uploads().iter().filter_map(|upload| upload.key()).collect();
    assert!(left.iter().all(|key| key.contains("/probe/")), "left behind: {left:?}");
    world.audit(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_uploads() {
    let world = World::new(|lies| lies.no_list_uploads = true).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), ["listing of unfinished uploads"]);
    assembles(&store, "assembled", &MIXED).await;
    world.server.advance(Duration::from_secs(25 * 60 * 60));
    store.sweep().await.unwrap();
    world.server.lie(Lies::default());
    world.audit(&store).await;
}

/// Returns all entries of a listing, a page of `limit` at a time.
macro_rules! all {
    ($list:expr) => {{
        let (mut all, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = $list(after.clone()).await.unwrap();
            all.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break all;
            }
        }
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn small_pages() {
    let world = World::new(|lies| lies.small_pages = true).await;
    let store = world.open().await;
    assert_eq!(lacking(&store), Vec::<&str>::new());
    let names: Vec<String> = (0..20).map(|at| format!("name-{at:02}")).collect();
    let (keys, _) = parts(&store, &[10; 20]).await;
    for name in &names {
        let content = &mut stream::from_bytes("content");
        put_final(&store, &scope(), &file(name), content, options(None, IfExists::Fail)).await.unwrap();
        store.create_record(&scope(), &RecordName::parse(name).unwrap(), b"value").await.unwrap();
        let session = SessionId::parse(name).unwrap();
        let content = &mut stream::from_bytes("content");
        put_part(&store, &scope(), &session, 0, content, PartOptions::default()).await.unwrap();
    }
    let (store, scope) = (&store, &scope());
    for limit in [1, 7, 8, 100] {
        let listed = all!(|after: Option<Cursor>| async move { store.list_finals(scope, after.as_ref(), limit).await });
        assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), names);
        let listed =
            all!(|after: Option<Cursor>| async move { store.list_records(scope, "", after.as_ref(), limit).await });
        assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), names);
        let list =
            |after: Option<Cursor>| async move { store.list_parts(scope, &session(), after.as_ref(), limit).await };
        assert_eq!(all!(list).into_iter().map(|part| part.key).collect::<Vec<_>>(), keys);
        let listed =
            all!(|after: Option<Cursor>| async move { store.list_sessions(scope, after.as_ref(), limit).await });
        assert_eq!(listed.len(), 21);
    }
    assert_eq!(store.delete_session(scope, &session()).await.unwrap(), 20);
    // Garbage of killed hosts, more than a page of each kind.
    let client = world.server.client();
    for at in 0..9 {
        let key = |kind: &str| format!("store/{kind}/file-{at}!{}", portico_store::Token::random().unwrap());
        let put = client.put_object().bucket(&world.bucket).key(key(&format!("final/{scope}")));
        put.body(b"orphan".to_vec().into()).send().await.unwrap();
        let upload = client.create_multipart_upload().bucket(&world.bucket).key(key(&format!("final/{scope}")));
        upload.send().await.unwrap();
    }
    world.audit(store).await;
}
