//! Rules before a backend: what they refuse, what they count, and what they report.

use bytes::Bytes;
use futures_util::FutureExt as _;
use portico_store::guard::{Event, Outcome, Quota, ReadOnly, Rules, Usage};
use portico_store::local::LocalStore;
use portico_store::stream::{self, ByteStream};
use portico_store::{
    Backend, ByteRange, Error, Expected, FileId, FinalOptions, FinalReceipt, IfExists, PartOptions, PartReceipt,
    Reason, RecordName, Result, Scope, SessionId, Upload, assemble_final, join_parts, put_final, put_part,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

struct Place {
    _folder: TempDir,
    store: Arc<dyn Backend>,
    scope: Scope,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(folder.path(), Default::default()).await.unwrap());
        Place { _folder: folder, store, scope: Scope::root().narrow("alice").unwrap() }
    }

    fn guard(&self, rules: Rules) -> User {
        User { store: rules.guard(self.store.clone()), scope: self.scope.clone() }
    }

    fn within(&self, bytes: u64, objects: u64) -> (User, Quota) {
        let quota = Quota::new(Usage { bytes, objects });
        (self.guard(Rules { quota: Some(quota.clone()), ..Rules::default() }), quota)
    }

    async fn holds(&self) -> Usage {
        Usage::of(&*self.store, &self.scope).await.unwrap()
    }
}

#[derive(Clone)]
struct User {
    store: Arc<dyn Backend>,
    scope: Scope,
}

fn file(id: &str) -> FileId {
    FileId::parse(id).unwrap()
}

fn session(id: &str) -> SessionId {
    SessionId::parse(id).unwrap()
}

fn record(name: &str) -> RecordName {
    RecordName::parse(name).unwrap()
}

fn of_size(size: u64) -> FinalOptions {
    FinalOptions { expected: Expected { size: Some(size), ..Expected::default() }, ..FinalOptions::default() }
}

fn again() -> FinalOptions {
    FinalOptions { if_exists: IfExists::SameContentOk, ..FinalOptions::default() }
}

impl User {
    async fn put(&self, id: &str, content: &'static str, options: FinalOptions) -> Result<FinalReceipt> {
        put_final(&*self.store, &self.scope, &file(id), &mut stream::from_bytes(content), options).await
    }

    async fn part(&self, of: &str, number: u32, content: &'static str) -> Result<PartReceipt> {
        let options = PartOptions::default();
        put_part(&*self.store, &self.scope, &session(of), number, &mut stream::from_bytes(content), options).await
    }
}

fn usage(bytes: u64, objects: u64) -> Usage {
    Usage { bytes, objects }
}

/// Waits for what other tasks do.
async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it happens");
}

/// Content that breaks off.
struct Cut(Option<&'static str>);

#[async_trait::async_trait]
impl ByteStream for Cut {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.0.take() {
            Some(text) => Ok(Some(Bytes::from_static(text.as_bytes()))),
            None => Err(Error::Interrupted { received: 0 }),
        }
    }
}

#[tokio::test]
async fn a_quota_counts_what_exists_and_nothing_else() {
    let place = Place::new().await;
    let (user, quota) = place.within(1_000, 100);
    let check = async |bytes, objects| {
        assert_eq!(quota.used(), usage(bytes, objects));
        assert_eq!(place.holds().await, quota.used());
    };

    let first = user.put("first", "hello", FinalOptions::default()).await.unwrap();
    check(5, 1).await;
    assert!(user.put("first", "hello", again()).await.unwrap().replayed);
    assert!(matches!(user.put("first", "other", FinalOptions::default()).await, Err(Error::Conflict)));
    let cut = put_final(&*user.store, &user.scope, &file("cut"), &mut Cut(Some("hello")), of_size(9)).await;
    assert!(matches!(cut, Err(Error::Interrupted { received: 5 })));
    let writer = Upload::final_object(&*user.store, &user.scope, &file("dropped"), of_size(9)).await.unwrap();
    drop(writer);
    check(5, 1).await;

    // Parts become the object. A join, a deletion of one part, and one of a session.
    let mut keys = Vec::new();
    for number in 0..4 {
        keys.push(user.part("s", number, "part").await.unwrap().key);
    }
    check(21, 5).await;
    assert!(user.store.delete_part(&user.scope, &keys[3]).await.unwrap());
    assert!(!user.store.delete_part(&user.scope, &keys[3]).await.unwrap());
    check(17, 4).await;
    let joined = join_parts(&*user.store, &user.scope, &session("s"), 9, &keys[..2]).await.unwrap();
    check(17, 3).await;
    let parts = [joined.key, keys[2].clone()];
    assemble_final(&*user.store, &user.scope, &file("whole"), &parts, FinalOptions::default()).await.unwrap();
    check(17, 2).await;
    user.part("t", 0, "partpart").await.unwrap();
    let key = user.part("t", 1, "part").await.unwrap().key;
    check(29, 4).await;
    let missing = assemble_final(&*user.store, &user.scope, &file("x"), &parts, FinalOptions::default()).await;
    assert!(matches!(missing, Err(Error::NotFound)));
    check(29, 4).await;
    // The same content as an object that exists: its parts go all the same.
    let first_part = user.store.list_parts(&user.scope, &session("t"), None, 10).await.unwrap().entries.remove(0).key;
    let replayed =
        assemble_final(&*user.store, &user.scope, &file("whole"), &[first_part, key], again()).await.unwrap();
    assert!(replayed.replayed);
    check(17, 2).await;
    user.part("u", 0, "part").await.unwrap();
    user.part("u", 1, "part").await.unwrap();
    assert_eq!(user.store.delete_session(&user.scope, &session("u")).await.unwrap(), 2);
    assert_eq!(user.store.delete_session(&user.scope, &session("u")).await.unwrap(), 0);
    check(17, 2).await;

    // An empty assembly, and deletions of objects.
    assemble_final(&*user.store, &user.scope, &file("empty"), &[], FinalOptions::default()).await.unwrap();
    check(17, 3).await;
    assert!(user.store.delete_final(&user.scope, &first.key).await.unwrap());
    assert!(!user.store.delete_final(&user.scope, &first.key).await.unwrap());
    check(12, 2).await;
    assert!(user.store.void_final(&user.scope, &file("void"), &Reason::parse("aborted").unwrap()).await.unwrap());
    check(12, 2).await;

    // Records.
    let name = record("a/b");
    let version = user.store.create_record(&user.scope, &name, b"123").await.unwrap();
    assert!(matches!(user.store.create_record(&user.scope, &name, b"12").await, Err(Error::Conflict)));
    check(15, 3).await;
    let stale = user.store.replace_record(&user.scope, &name, "stale", b"1").await;
    assert!(matches!(stale, Err(Error::Conflict)));
    let version = user.store.replace_record(&user.scope, &name, &version, b"12345").await.unwrap();
    check(17, 3).await;
    user.store.replace_record(&user.scope, &name, &version, b"1").await.unwrap();
    check(13, 3).await;
    assert!(matches!(user.store.delete_record(&user.scope, &name, Some(&version)).await, Err(Error::Conflict)));
    assert!(user.store.delete_record(&user.scope, &name, None).await.unwrap());
    assert!(!user.store.delete_record(&user.scope, &name, None).await.unwrap());
    check(12, 2).await;
}

#[tokio::test]
async fn beyond_a_quota_there_is_no_space() {
    let place = Place::new().await;
    let (user, quota) = place.within(8, 3);
    let full = |result: Result<FinalReceipt>| assert!(matches!(result, Err(Error::NoSpace)), "{result:?}");
    user.put("first", "hello", FinalOptions::default()).await.unwrap();
    // Of known size, at once and without reading; of unknown size, when the bytes arrive.
    struct Unread;
    #[async_trait::async_trait]
    impl ByteStream for Unread {
        async fn next(&mut self) -> Result<Option<Bytes>> {
            panic!("nothing is read")
        }
    }
    full(put_final(&*user.store, &user.scope, &file("second"), &mut Unread, of_size(4)).await);
    full(user.put("second", "four", FinalOptions::default()).await);
    user.put("second", "333", FinalOptions::default()).await.unwrap();
    full(user.put("third", "4", FinalOptions::default()).await);
    user.put("empty", "", FinalOptions::default()).await.unwrap();
    full(user.put("fourth", "", FinalOptions::default()).await);
    full(assemble_final(&*user.store, &user.scope, &file("fourth"), &[], FinalOptions::default()).await);
    let created = user.store.create_record(&user.scope, &record("r"), b"").await;
    assert!(matches!(created, Err(Error::NoSpace)));
    assert_eq!(place.holds().await, quota.used());

    // Deleting makes room, and so does a larger quota.
    let key = user.store.stat_final(&user.scope, &file("first")).await.unwrap().key;
    assert!(user.store.delete_final(&user.scope, &key).await.unwrap());
    user.put("fifth", "55555", FinalOptions::default()).await.unwrap();
    quota.set_max(Usage::UNLIMITED);
    user.put("sixth", "any number of bytes", FinalOptions::default()).await.unwrap();
    assert_eq!(place.holds().await, quota.used());
}

#[tokio::test]
async fn a_retry_finds_its_content_in_a_full_store() {
    let place = Place::new().await;
    let (user, quota) = place.within(5, 2);
    user.put("first", "hello", of_size(5)).await.unwrap();
    for options in [again(), FinalOptions { if_exists: IfExists::SameContentOk, ..of_size(5) }] {
        assert!(user.put("first", "hello", options).await.unwrap().replayed);
    }
    for other in ["jello", "hell", "hello and more"] {
        let put = user.put("first", other, again()).await;
        assert!(matches!(put, Err(Error::Conflict)), "{other}: {put:?}");
    }
    assert!(matches!(user.put("second", "hello", again()).await, Err(Error::NoSpace)));
    quota.set_max(usage(9, 2));
    let put = async || {
        let options = PartOptions { if_exists: IfExists::SameContentOk, ..PartOptions::default() };
        put_part(&*user.store, &user.scope, &session("s"), 7, &mut stream::from_bytes("part"), options).await
    };
    assert!(!put().await.unwrap().replayed);
    assert!(put().await.unwrap().replayed);
    assert_eq!(quota.used(), usage(9, 2));
    assert_eq!(place.holds().await, quota.used());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_at_the_same_time_do_not_exceed_a_quota_together() {
    let place = Place::new().await;
    let (user, quota) = place.within(50, 1_000);
    let puts: Vec<_> = (0..32)
        .map(|number| {
            let user = user.clone();
            tokio::spawn(async move { user.put(&format!("f{number}"), "0123456789", again()).await.is_ok() })
        })
        .collect();
    let mut stored = 0;
    for put in puts {
        stored += u64::from(put.await.unwrap());
    }
    assert!((1..=5).contains(&stored), "{stored}");
    assert_eq!(quota.used(), usage(10 * stored, stored));
    assert_eq!(place.holds().await, quota.used());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_caller_began_is_counted() {
    let place = Place::new().await;
    let (user, quota) = place.within(1_000, 1_000);
    for number in 0..16 {
        let mut upload =
            Upload::final_object(&*user.store, &user.scope, &file(&format!("f{number}")), of_size(5)).await.unwrap();
        upload.write(Bytes::from_static(b"hello")).await.unwrap();
        // Begun, and dropped before its end.
        let _ = upload.finish(Expected::default()).now_or_never();
    }
    // Each put ends by itself, and the last one to be counted says so.
    until(|| quota.used().objects == 16).await;
    assert_eq!(place.holds().await, usage(80, 16));

    let keys: Vec<_> = user.store.list_finals(&user.scope, None, 100).await.unwrap().entries;
    for file in keys {
        let key = user.store.stat_final(&user.scope, &file).await.unwrap().key;
        let _ = user.store.delete_final(&user.scope, &key).now_or_never();
    }
    until(|| quota.used().objects == 0).await;
    assert_eq!(place.holds().await, usage(0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_that_race_release_each_part_once() {
    let place = Place::new().await;
    let (user, quota) = place.within(1_000_000, 1_000);
    for round in 0..20 {
        let id = format!("s{round}");
        let mut keys = Vec::new();
        for number in 0..4 {
            keys.push(user.part(&id, number, "0123456789").await.unwrap().key);
        }
        let single = keys.clone().into_iter().map(|key| {
            let user = user.clone();
            tokio::spawn(async move { user.store.delete_part(&user.scope, &key).await.map(|_| ()) })
        });
        let whole = (0..2).map(|_| {
            let (user, id) = (user.clone(), session(&id));
            tokio::spawn(async move { user.store.delete_session(&user.scope, &id).await.map(|_| ()) })
        });
        let made = {
            let (user, id, keys) = (user.clone(), file(&id), keys.clone());
            tokio::spawn(async move {
                let made = assemble_final(&*user.store, &user.scope, &id, &keys, FinalOptions::default()).await;
                made.map(|_| ())
            })
        };
        for task in single.chain(whole).collect::<Vec<_>>() {
            let _ = task.await.unwrap();
        }
        // Either it made the object, or a part was deleted before.
        let _ = made.await.unwrap();
        assert_eq!(place.holds().await, quota.used(), "round {round}");
    }
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let place = Place::new().await;
    let writer = place.guard(Rules::default());
    let key = writer.part("s", 0, "part").await.unwrap().key;
    let other = writer.part("s", 9, "part").await.unwrap().key;
    let stored = writer.put("f", "hello", FinalOptions::default()).await.unwrap();
    let version = writer.store.create_record(&place.scope, &record("r"), b"value").await.unwrap();
    let before = place.holds().await;

    let reader = place.guard(Rules { read_only: true, ..Rules::default() });
    let (store, scope) = (&*reader.store, &reader.scope);
    fn denied<T: std::fmt::Debug>(result: Result<T>) {
        assert!(result.as_ref().is_err_and(ReadOnly::caused), "{result:?}");
    }
    denied(reader.put("g", "hello", FinalOptions::default()).await);
    denied(reader.part("s", 1, "part").await);
    denied(join_parts(store, scope, &session("s"), 2, &[key.clone(), other]).await);
    denied(store.delete_part(scope, &key).await);
    denied(store.delete_session(scope, &session("s")).await);
    denied(store.interrupt(scope, &session("s")).await);
    denied(assemble_final(store, scope, &file("g"), std::slice::from_ref(&key), FinalOptions::default()).await);
    denied(store.delete_final(scope, &stored.key).await);
    denied(store.void_final(scope, &file("v"), &Reason::parse("r").unwrap()).await);
    denied(store.purge_gone(scope, u64::MAX, None).await);
    denied(store.create_record(scope, &record("q"), b"").await);
    denied(store.replace_record(scope, &record("r"), &version, b"").await);
    denied(store.delete_record(scope, &record("r"), None).await);
    assert_eq!(place.holds().await, before);

    let mut content = store.open_final(scope, &file("f")).await.unwrap().stream(ByteRange::default()).await.unwrap();
    assert_eq!(stream::collect(&mut *content, 100).await.unwrap(), b"hello");
    assert_eq!(store.get_record(scope, &record("r")).await.unwrap().value, b"value");
    assert_eq!(store.list_parts(scope, &session("s"), None, 10).await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn the_largest_object_also_bounds_what_is_made_of_parts() {
    let place = Place::new().await;
    let user = place.guard(Rules { max_object_size: Some(7), ..Rules::default() });
    assert_eq!(user.store.info().max_object_size, 7);
    assert!(user.store.info().max_join_size <= 7);
    for options in [FinalOptions::default(), of_size(8)] {
        assert!(matches!(user.put("f", "12345678", options).await, Err(Error::TooLarge { limit: 7 })));
    }
    user.put("f", "1234567", FinalOptions::default()).await.unwrap();
    let mut keys = Vec::new();
    for number in 0..2 {
        keys.push(user.part("s", number, "part").await.unwrap().key);
    }
    let made = assemble_final(&*user.store, &user.scope, &file("g"), &keys, FinalOptions::default()).await;
    assert!(matches!(made, Err(Error::TooLarge { limit: 7 })), "{made:?}");
    let joined = join_parts(&*user.store, &user.scope, &session("s"), 9, &keys).await;
    assert!(matches!(joined, Err(Error::TooLarge { limit: 7 })), "{joined:?}");
    assemble_final(&*user.store, &user.scope, &file("g"), &keys[..1], FinalOptions::default()).await.unwrap();
    // A limit beyond the backend's own changes nothing.
    let user = place.guard(Rules { max_object_size: Some(u64::MAX), ..Rules::default() });
    assert_eq!(user.store.info(), place.store.info());
}

#[tokio::test]
async fn an_observer_sees_each_operation_once_and_how_it_ended() {
    let place = Place::new().await;
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let observer = move |event: &Event<'_>| {
        let outcome = match event.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Failed(error) => error.to_string(),
            Outcome::Dropped => "dropped".to_owned(),
        };
        assert_eq!(event.scope.as_str(), "main.alice");
        log.lock().unwrap().push(format!("{} {} {} {outcome}", event.operation.as_str(), event.name, event.bytes));
    };
    let quota = Quota::new(usage(10, 10));
    let user =
        place.guard(Rules { quota: Some(quota), observer: Some(Arc::new(observer)), spans: true, ..Rules::default() });
    let take = || std::mem::take(&mut *seen.lock().unwrap());

    let stored = user.put("f", "hello", FinalOptions::default()).await.unwrap();
    assert_eq!(take(), ["put-final f 5 done"]);
    user.put("g", "hello and", FinalOptions::default()).await.unwrap_err();
    assert_eq!(take(), ["put-final g 9 dropped"]);
    user.put("g", "hello and", of_size(9)).await.unwrap_err();
    assert_eq!(take(), ["put-final g 0 no space left"]);
    put_final(&*user.store, &user.scope, &file("h"), &mut Cut(Some("hel")), FinalOptions::default()).await.unwrap_err();
    assert_eq!(take(), ["put-final h 3 dropped"]);

    let reader = user.store.open_final(&user.scope, &file("f")).await.unwrap();
    assert_eq!(take(), ["open-final f 0 done"]);
    let mut content = reader.stream(ByteRange { start: 1, end: Some(3) }).await.unwrap();
    assert_eq!(stream::collect(&mut *content, 100).await.unwrap(), b"el");
    assert_eq!(take(), ["read-final f 2 done"]);
    drop(reader.stream(ByteRange::default()).await.unwrap());
    assert_eq!(take(), ["read-final f 0 dropped"]);
    drop((reader, content));
    user.store.read_final(&user.scope, &stored.key, ByteRange { start: 9, end: None }).await.err().unwrap();
    assert_eq!(take(), ["read-final final/main.alice/f 0 range beyond the end of 5 bytes"]);

    user.store.stat_final(&user.scope, &file("none")).await.unwrap_err();
    let key = user.part("s", 3, "part").await.unwrap().key;
    assemble_final(&*user.store, &user.scope, &file("g"), &[key], FinalOptions::default()).await.unwrap();
    assert!(user.store.delete_final(&user.scope, &stored.key).await.unwrap());
    assert_eq!(
        take(),
        [
            "stat-final none 0 not found",
            "put-part s/3 4 done",
            "assemble g 4 done",
            "delete-final final/main.alice/f 0 done",
        ]
    );
}
