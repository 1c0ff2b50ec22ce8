//! Rebuilding the index from the final objects.

mod support;

use portico_store::local::{FormatMade, LocalOptions, LocalStore, OpenError, RebuildReport};
use portico_store::{Backend, Digest, Error, RecordName, Sha256};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::*;

async fn rebuild(root: &Path, force: bool) -> Result<RebuildReport, OpenError> {
    LocalStore::rebuild(root, LocalOptions::default(), force).await
}

fn sha256(content: &[u8]) -> Digest {
    let mut sha256 = Sha256::new();
    sha256.update(content);
    sha256.finish()
}

/// A store with objects, parts, a record and a tombstone, closed.
async fn filled(root: &Path) {
    let store = open(root).await.unwrap();
    put(&store, "large", content(1, 3_000_000)).await.unwrap();
    put(&store, "empty", Vec::new()).await.unwrap();
    put(&store, "gone", content(2, 10)).await.unwrap();
    delete(&store, "gone").await.unwrap();
    let narrow = scope().narrow("tenant").unwrap();
    let mut stream = portico_store::stream::from_bytes(content(3, 10));
    portico_store::put_final(&store, &narrow, &file("x"), &mut stream, Default::default()).await.unwrap();
    part(&store, "s", 0, Some(0), content(4, 1_000)).await.unwrap();
    part(&store, "t", 0, None, content(5, 1_000)).await.unwrap();
    store.create_record(&scope(), &RecordName::parse("r").unwrap(), b"value").await.unwrap();
}

/// Checks that all objects exist again, and that the store works.
async fn check_objects(root: &Path, made: SystemTime) {
    let store = open(root).await.unwrap();
    let listed = portico_store::list_final_receipts(&store, &scope(), None, 10).await.unwrap();
    let ids: Vec<&str> = listed.entries.iter().map(|object| object.file.as_str()).collect();
    assert_eq!(ids, ["empty", "large"]);
    for (object, expected) in listed.entries.iter().zip([Vec::new(), content(1, 3_000_000)]) {
        assert_eq!((object.size, object.sha256), (expected.len() as u64, sha256(&expected)));
        assert_eq!(get(&store, object.file.as_str()).await.unwrap(), expected);
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(object.created_at);
        assert!(created.duration_since(made).unwrap_or_default() < Duration::from_secs(600), "the time of the file");
    }
    let narrow = scope().narrow("tenant").unwrap();
    assert_eq!(store.stat_final(&narrow, &file("x")).await.unwrap().sha256, sha256(&content(3, 10)));
    put(&store, "after", content(9, 10)).await.unwrap();
    assert!(matches!(put(&store, "large", content(9, 10)).await, Err(Error::Conflict)));
    assert!(delete(&store, "after").await.unwrap());
    assert!(store.list_sessions(&scope(), None, 10).await.unwrap().entries.is_empty());
    assert!(matches!(store.get_record(&scope(), &RecordName::parse("r").unwrap()).await, Err(Error::NotFound)));
    drop(store);
    assert!(paths(&root.join("temp")).iter().all(|path| !path.contains('/')), "the files of lost parts are swept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_index_has_every_object_and_the_old_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let made = SystemTime::now();
    filled(dir.path()).await;
    let index = dir.path().join("index.sqlite");
    for number in 1..=2 {
        std::fs::write(&index, content(7, 50_000)).unwrap();
        std::fs::write(dir.path().join("index.sqlite-wal"), "a log").unwrap();
        assert!(matches!(open(dir.path()).await, Err(OpenError::Index { .. })));
        let report = rebuild(dir.path(), false).await.unwrap();
        let aside = dir.path().canonicalize().unwrap().join(format!("index.sqlite.broken-{number}"));
        assert_eq!((report.objects, report.bytes, report.unfinished), (3, 3_000_010, 0));
        assert_eq!(report.sessions, if number == 1 { 2 } else { 0 });
        assert_eq!(report.old_index.as_ref(), Some(&aside));
        assert_eq!((report.format, report.foreign.len()), (FormatMade::No, 0));
        assert_eq!(std::fs::read(&aside).unwrap(), content(7, 50_000));
        let log = dir.path().join(format!("index.sqlite.broken-{number}-wal"));
        assert_eq!(std::fs::read(log).unwrap(), b"a log");
        let text = report.to_string();
        assert!(text.contains("3 final objects") && text.contains("records") && text.contains("broken-"), "{text}");
        check_objects(dir.path(), made).await;
        let store = open(dir.path()).await.unwrap();
        assert!(matches!(store.stat_final(&scope(), &file("after")).await, Err(Error::Gone(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_foreign_or_planted_index_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    let made = SystemTime::now();
    filled(&root).await;
    filled(&other).await;
    let index = root.join("index.sqlite");
    std::fs::remove_file(&index).unwrap();
    assert_eq!(rebuild(&root, false).await.unwrap().old_index, None);
    check_objects(&root, made).await;
    std::fs::copy(other.join("index.sqlite"), &index).unwrap();
    rebuild(&root, false).await.unwrap();
    check_objects(&root, made).await;
    std::fs::remove_file(&index).unwrap();
    std::os::unix::fs::symlink(other.join("index.sqlite"), &index).unwrap();
    let before = snapshot(&other);
    rebuild(&root, false).await.unwrap();
    assert!(snapshot(&other) == before, "not followed");
    check_objects(&root, made).await;
    std::fs::remove_file(&index).unwrap();
    mknodat(CWD, &index, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    rebuild(&root, false).await.unwrap();
    check_objects(&root, made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_index_is_not_replaced_unless_told() {
    let dir = tempfile::tempdir().unwrap();
    let made = SystemTime::now();
    filled(dir.path()).await;
    let before = snapshot(dir.path());
    let error = rebuild(dir.path(), false).await.unwrap_err();
    assert!(matches!(error, OpenError::NothingToRebuild(_)), "{error:?}");
    assert!(snapshot(dir.path()) == before);
    let report = rebuild(dir.path(), true).await.unwrap();
    assert!(report.old_index.is_some());
    check_objects(dir.path(), made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_index_is_replaced_and_a_newer_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let made = SystemTime::now();
    filled(dir.path()).await;
    let index = dir.path().join("index.sqlite");
    let whole = std::fs::read(&index).unwrap();
    let with_version = |version: i32| {
        let mut bytes = whole.clone();
        bytes[60..64].copy_from_slice(&version.to_be_bytes());
        std::fs::write(&index, bytes).unwrap();
    };
    with_version(1_000);
    let before = snapshot(dir.path());
    let error = rebuild(dir.path(), false).await.unwrap_err();
    assert!(matches!(error, OpenError::Format { .. }), "{error:?}");
    assert!(snapshot(dir.path()) == before);
    with_version(1);
    rebuild(dir.path(), false).await.unwrap();
    check_objects(dir.path(), made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_format_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let made = SystemTime::now();
    filled(dir.path()).await;
    let format = dir.path().join("format");
    let old = std::fs::read(&format).unwrap();

    // With a whole index nothing is lost.
    std::fs::remove_file(&format).unwrap();
    let report = rebuild(dir.path(), false).await.unwrap();
    assert_eq!((report.format, report.old_index.is_none()), (FormatMade::ForTheIndex, true));
    assert_eq!(std::fs::read(&format).unwrap(), old);
    let store = open(dir.path()).await.unwrap();
    assert!(store.get_record(&scope(), &RecordName::parse("r").unwrap()).await.is_ok());
    drop(store);

    std::fs::remove_file(&format).unwrap();
    std::fs::write(dir.path().join("index.sqlite"), "damaged").unwrap();
    let report = rebuild(dir.path(), false).await.unwrap();
    assert_eq!(report.format, FormatMade::WithNewId);
    assert!(report.to_string().contains("new id"), "{report}");
    assert_ne!(std::fs::read(&format).unwrap(), old);
    check_objects(dir.path(), made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_and_what_was_never_finished_is_not_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    assert!(matches!(rebuild(&root, true).await, Err(OpenError::Io { .. })));
    assert!(!root.exists());
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("README"), "mine").unwrap();
    assert!(matches!(rebuild(&root, true).await, Err(OpenError::NotAStore(_))));
    assert_eq!(paths(&root), ["README"]);
    std::fs::remove_file(root.join("README")).unwrap();

    let made = SystemTime::now();
    filled(&root).await;
    std::fs::write(root.join("index.sqlite"), "damaged").unwrap();
    let finals = root.join("final/main");
    // Named, and without a row: one that was staged, one that was its session's own file.
    let staged = root.join("staging/0123456789abcdef0123456789abcdef");
    std::fs::write(&staged, "unfinished").unwrap();
    std::fs::hard_link(&staged, finals.join("unfinished")).unwrap();
    std::fs::hard_link(root.join("temp/main/s/placed"), finals.join("unfinished-too")).unwrap();
    // Not objects.
    std::fs::write(finals.join("not an id"), "").unwrap();
    std::fs::create_dir(finals.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", finals.join("link")).unwrap();
    std::fs::create_dir(root.join("final/not-a-scope")).unwrap();
    std::fs::write(root.join("final/main.file"), "").unwrap();

    let report = rebuild(&root, false).await.unwrap();
    assert_eq!((report.objects, report.unfinished), (3, 2));
    let foreign =
        ["final/main.file", "final/main/folder", "final/main/link", "final/main/not an id", "final/not-a-scope"];
    assert_eq!(report.foreign, foreign);
    assert!(finals.join("unfinished").exists(), "a rebuild removes nothing");
    for path in foreign {
        assert!(root.join(path).symlink_metadata().is_ok(), "{path}");
    }
    check_objects(&root, made).await;
    assert!(!finals.join("unfinished").exists() && !finals.join("unfinished-too").exists());
}
