//! One process at a time has a store.

mod support;

use portico_store::local::{LocalOptions, LocalStore, OpenError};
use portico_store::{Backend, ByteRange, Expected, FinalKey, PartOptions, Upload, stream};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::*;

async fn check(root: &Path) {
    assert_eq!(get(&open(root).await.unwrap(), "a").await.unwrap(), content(1, 1_000));
}

/// A process that has a store: this test, selected by its environment.
struct Holder(Child);

const HOLDS: &str = "PORTICO_TEST_HOLDS";

impl Holder {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_second_process_waits_or_is_told_who_has_the_store", "--nocapture"])
            .env(HOLDS, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("holding")), "the child opens the store");
        Holder(child)
    }

    async fn hold(root: &Path) {
        let store = open(root).await.unwrap();
        store.describe_holder("http://127.0.0.1:4711");
        std::io::stdout().write_all(b"holding\n").unwrap();
        // Until the other end is closed.
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        drop(store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_waits_or_is_told_who_has_the_store() {
    if let Some(root) = std::env::var_os(HOLDS) {
        return Holder::hold(Path::new(&root)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path()).await.unwrap(), "a", content(1, 1_000)).await.unwrap();

    let Holder(mut child) = Holder::start(dir.path());
    let locked = |error: &OpenError| matches!(error, OpenError::Locked { .. });
    let text = refused(dir.path(), "in use", locked).await.to_string();
    for expected in [format!("pid {}", child.id()), "http://127.0.0.1:4711".to_owned(), "--server".to_owned()] {
        assert!(text.contains(&expected), "{text}");
    }
    let Err(error) = LocalStore::rebuild(dir.path(), LocalOptions::default(), true).await else { panic!("rebuilt") };
    assert!(locked(&error), "{error:?}");

    let waits = LocalOptions { lock_wait: Duration::from_secs(60), ..LocalOptions::default() };
    let root = dir.path().to_owned();
    let waiting = tokio::spawn(async move { LocalStore::open(&root, waits).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    drop(child.stdin.take());
    drop(waiting.await.unwrap().unwrap());
    assert!(child.wait().unwrap().success());
    check(dir.path()).await;

    // A killed process holds nothing.
    let Holder(mut child) = Holder::start(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    check(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_held_by_its_writers_and_not_by_its_streams() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    put(&store, "a", content(1, 1_000)).await.unwrap();
    let key = FinalKey { bucket: "local".to_owned(), key: "final/main/a".to_owned() };
    let mut stream = store.read_final(&scope(), &key, ByteRange::default()).await.unwrap();
    let mut upload = Upload::part(&store, &scope(), &session("s"), 0, PartOptions::default()).await.unwrap();
    drop(store);
    assert!(matches!(open(dir.path()).await, Err(OpenError::Locked { .. })));
    upload.write("some".into()).await.unwrap();
    let key = upload.finish(Expected::default()).await.unwrap().key;

    let store = open(dir.path()).await.unwrap();
    assert!(store.delete_part(&scope(), &key).await.unwrap());
    assert_eq!(stream::collect(&mut *stream, 1_000).await.unwrap(), content(1, 1_000));
}
