//! Opening a folder that is a store, is none, is damaged, or is full of traps.

mod support;

use portico_store::local::OpenError;
use portico_store::{Backend, Error, RecordName, chain};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use support::*;

const FILES: [&str; 6] = ["format", "lock", "reserve", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];
const FOLDERS: [&str; 3] = ["staging", "temp", "final"];

/// A store with one of everything, closed.
async fn filled(root: &Path) {
    let store = open(root).await.unwrap();
    put(&store, "a", content(1, 100_000)).await.unwrap();
    put(&store, "gone", content(2, 10)).await.unwrap();
    delete(&store, "gone").await.unwrap();
    part(&store, "s", 0, Some(0), content(3, 1_000)).await.unwrap();
    part(&store, "s", 1, None, content(4, 1_000)).await.unwrap();
    store.create_record(&scope(), &RecordName::parse("r").unwrap(), b"value").await.unwrap();
}

/// Checks that everything of [`filled`] exists.
async fn check_filled(root: &Path) {
    let store = open(root).await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), content(1, 100_000));
    assert!(matches!(store.stat_final(&scope(), &file("gone")).await, Err(Error::Gone(_))));
    let parts = store.list_parts(&scope(), &session("s"), None, 10).await.unwrap();
    assert_eq!(parts.entries.len(), 2);
    assert_eq!(store.get_record(&scope(), &RecordName::parse("r").unwrap()).await.unwrap().value, b"value");
}

fn is_index(error: &OpenError) -> bool {
    matches!(error, OpenError::Index { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_nested_or_empty_folder_becomes_a_store() {
    let dir = tempfile::tempdir().unwrap();
    for root in ["", "one", "some/way/down"].map(|name| dir.path().join("x").join(name)) {
        std::fs::create_dir_all(dir.path().join("x")).unwrap();
        filled(&root).await;
        check_filled(&root).await;
        std::fs::remove_dir_all(dir.path().join("x")).unwrap();
    }
    // The path to it may lead through symlinks.
    std::fs::create_dir(dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("alias")).unwrap();
    filled(&dir.path().join("alias/store")).await;
    check_filled(&dir.path().join("real/store")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_is_whole_and_names_no_holder() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    assert_eq!(std::fs::read_to_string(dir.path().join("lock")).unwrap(), "");
    let top: Vec<String> = paths(dir.path()).into_iter().filter(|path| !path.contains('/')).collect();
    assert_eq!(top, ["final", "format", "index.sqlite", "lock", "reserve", "staging", "temp"]);
    for _ in 0..20 {
        check_filled(dir.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_store_is_refused_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let not_a_store = |error: &OpenError| matches!(error, OpenError::NotAStore(_));
    for foreign in ["README", ".hidden", "index.sqlite.old"] {
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join(foreign), "mine").unwrap();
        refused(&root, foreign, not_a_store).await;
        std::fs::remove_dir_all(&root).unwrap();
    }
    std::fs::create_dir_all(root.join("temp/of/somebody")).unwrap();
    refused(&root, "a folder temp of somebody", not_a_store).await;
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(&root, "a file").unwrap();
    let Err(error) = open(&root).await else { panic!("opened a file") };
    assert!(matches!(error, OpenError::WrongKind { .. }), "{error:?}");
    assert_eq!(std::fs::read(&root).unwrap(), b"a file");
    // Some filesystems put this into their own root.
    std::fs::remove_file(&root).unwrap();
    std::fs::create_dir_all(root.join("lost+found")).unwrap();
    filled(&root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_the_stores_is_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    filled(&root).await;
    filled(&other).await;
    let index = root.join("index.sqlite");
    let whole = std::fs::read(&index).unwrap();

    let mut page = whole.clone();
    let middle = whole.len() / 4096 / 2 * 4096;
    page[middle..middle + 4096].fill(0x5a);
    let cases = [
        ("noise", content(9, whole.len())),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("a page of noise", page),
        ("another store's", std::fs::read(other.join("index.sqlite")).unwrap()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&index, bytes).unwrap();
        let error = refused(&root, what, is_index).await;
        assert!(error.to_string().contains("portico check --rebuild"), "{error}");
        std::fs::write(&index, &whole).unwrap();
        check_filled(&root).await;
    }
    for (version, newer) in [(1, false), (1_000, true)] {
        let mut other = whole.clone();
        // The database file format, 1.3.16: the user version.
        other[60..64].copy_from_slice(&i32::to_be_bytes(version));
        std::fs::write(&index, other).unwrap();
        let expected = |error: &OpenError| match error {
            OpenError::Index { .. } => !newer,
            OpenError::Format { .. } => newer,
            _ => false,
        };
        refused(&root, "another version", expected).await;
    }
    std::fs::remove_file(&index).unwrap();
    refused(&root, "missing", is_index).await;
    std::fs::write(&index, &whole).unwrap();
    check_filled(&root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_format_is_refused_and_a_missing_one_is_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let format = dir.path().join("format");
    let whole = std::fs::read_to_string(&format).unwrap();
    let id = whole.lines().nth(1).unwrap();
    let cases = [
        format!("portico local store 2\n{id}\n"),
        format!("portico local store 0\n{id}\n"),
        "portico local store 1\n".to_owned(),
        "portico local store 1\nnot-an-id\n".to_owned(),
        String::new(),
        "x".repeat(100_000),
    ];
    for text in cases {
        std::fs::write(&format, &text).unwrap();
        refused(dir.path(), &text[..text.len().min(40)], |error| matches!(error, OpenError::Format { .. })).await;
    }
    std::fs::write(&format, format!("portico local store 1\n{}\n", "0".repeat(32))).unwrap();
    refused(dir.path(), "another id", is_index).await;
    std::fs::remove_file(&format).unwrap();
    refused(dir.path(), "no format", |error| matches!(error, OpenError::NoFormat(_))).await;
    std::fs::write(&format, whole).unwrap();
    check_filled(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_place_of_a_file_or_folder_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    filled(&root).await;
    std::fs::create_dir(&outside).unwrap();
    let wrong = |error: &OpenError| matches!(error, OpenError::WrongKind { .. });
    for name in FILES.into_iter().chain(FOLDERS) {
        let (path, kept) = (root.join(name), outside.join(name));
        let was_there = path.exists();
        if was_there {
            std::fs::rename(&path, &kept).unwrap();
        } else {
            std::fs::write(&kept, "").unwrap();
        }
        let before = snapshot(&outside);
        symlink(&kept, &path).unwrap();
        refused(&root, &format!("a symlink for {name}"), wrong).await;
        std::fs::remove_file(&path).unwrap();

        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        let what = format!("a pipe for {name}");
        let opened = tokio::time::timeout(Duration::from_secs(20), refused(&root, &what, wrong));
        opened.await.expect("a pipe blocks nobody");
        std::fs::remove_file(&path).unwrap();

        if FILES.contains(&name) {
            std::fs::create_dir(&path).unwrap();
            refused(&root, &format!("a folder for {name}"), wrong).await;
            std::fs::remove_dir(&path).unwrap();
        } else {
            std::fs::write(&path, "").unwrap();
            refused(&root, &format!("a file for {name}"), wrong).await;
            std::fs::remove_file(&path).unwrap();
        }
        assert!(snapshot(&outside) == before, "{name}: changed through a symlink");
        if was_there {
            std::fs::rename(&kept, &path).unwrap();
        }
    }
    check_filled(&root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_below_the_folders_hurt_only_what_they_replace() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    filled(&root).await;
    std::fs::create_dir_all(outside.join("folder")).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let before = snapshot(&outside);

    // Objects, scopes and sessions that are symlinks or pipes.
    std::fs::remove_file(root.join("final/main/a")).unwrap();
    symlink(outside.join("secret"), root.join("final/main/a")).unwrap();
    mknodat(CWD, root.join("final/main/pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    symlink(outside.join("secret"), root.join("final/main/new")).unwrap();
    for scope in ["final/main.s", "temp/main.s", "temp/main/linked"] {
        symlink(outside.join("folder"), root.join(scope)).unwrap();
    }
    std::fs::write(root.join("final/stray"), "").unwrap();
    std::fs::write(root.join("temp/main/file"), "").unwrap();
    let token = "0123456789abcdef0123456789abcdef";
    std::fs::create_dir(root.join("staging").join(token)).unwrap();
    symlink(outside.join("secret"), root.join("temp/main/s").join(token)).unwrap();

    let store = open(&root).await.unwrap();
    let work = async {
        assert!(matches!(get(&store, "a").await, Err(Error::Internal(_))), "an object that is a symlink");
        assert!(matches!(put(&store, "new", content(1, 10)).await, Err(Error::Conflict)));
        assert!(matches!(put(&store, "pipe", content(1, 10)).await, Err(Error::Conflict)));
        assert!(matches!(part(&store, "linked", 0, None, content(1, 10)).await, Err(Error::Internal(_))));
        assert!(matches!(part(&store, "linked", 0, Some(0), content(1, 10)).await, Err(Error::Internal(_))));
        assert!(matches!(part(&store, "file", 0, Some(0), content(1, 10)).await, Err(Error::Internal(_))));
        let narrow = scope().narrow("s").unwrap();
        let mut stream = portico_store::stream::from_bytes("x");
        let scoped = portico_store::put_final(&store, &narrow, &file("x"), &mut stream, Default::default()).await;
        assert!(matches!(scoped, Err(Error::Internal(_))), "a scope that is a symlink: {scoped:?}");
        assert!(delete(&store, "a").await.unwrap(), "the symlink goes, not what it names");
        put(&store, "b", content(5, 10)).await.unwrap();
        let report = store.sweep().await.unwrap();
        assert_eq!(
            report.foreign,
            [
                "final/main.s".to_owned(),
                "final/stray".to_owned(),
                format!("staging/{token}"),
                "temp/main.s".to_owned(),
                "temp/main/file".to_owned(),
                "temp/main/linked".to_owned(),
                format!("temp/main/s/{token}"),
            ]
        );
    };
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("a pipe blocks nobody");
    assert!(snapshot(&outside) == before, "changed through a symlink");
    assert!(paths(&root.join("staging")) == [token], "nothing of what failed is left behind");
    let parts = store.list_parts(&scope(), &session("s"), None, 10).await.unwrap();
    assert_eq!(parts.entries.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cant_be_written_to_is_refused() {
    let denied = |error: &OpenError| {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(error, OpenError::Io { source, .. } if [PermissionDenied, ReadOnlyFilesystem].contains(&source.kind()))
    };
    let Some(tmpfs) = Tmpfs::mount(64 << 10, "a_folder_that_cant_be_written_to_is_refused") else { return };
    tmpfs.set_read_only(true);
    refused(tmpfs.path(), "empty and read-only", denied).await;
    let Err(error) = open(&tmpfs.path().join("missing")).await else { panic!("made") };
    assert!(denied(&error), "{error:?}");
    tmpfs.set_read_only(false);
    filled(tmpfs.path()).await;
    tmpfs.set_read_only(true);
    refused(tmpfs.path(), "a store, read-only", denied).await;
    tmpfs.set_read_only(false);
    check_filled(tmpfs.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_the_making_is_made_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let store = open(&whole).await.unwrap();
    store.create_record(&scope(), &RecordName::parse("r").unwrap(), b"value").await.unwrap();
    drop(store);
    let index = std::fs::read(whole.join("index.sqlite")).unwrap();
    let format = std::fs::read(whole.join("format")).unwrap();

    // The remains of each step of the creation, in order, if the process dies after it.
    type Step<'a> = (&'a str, Option<&'a [u8]>);
    let steps: [&[Step<'_>]; 9] = [
        &[],
        &[("index.new", Some(b""))],
        &[("index.new", Some(&index[..4096])), ("index.new-journal", Some(b"half"))],
        &[("index.new", Some(&index)), ("index.new-wal", Some(b"half")), ("index.new-shm", Some(b"half"))],
        &[("index.sqlite", Some(&index))],
        &[("index.sqlite", Some(&index)), ("staging", None)],
        &[("index.sqlite", Some(&index)), ("staging", None), ("temp", None), ("final", None)],
        &[
            ("index.sqlite", Some(&index)),
            ("staging", None),
            ("temp", None),
            ("final", None),
            ("format.new", Some(b"po")),
        ],
        &[("index.sqlite", Some(&index)), ("format", Some(&format))],
    ];
    for (number, step) in steps.iter().enumerate() {
        let root = dir.path().join(number.to_string());
        std::fs::create_dir(&root).unwrap();
        for (name, content) in *step {
            match content {
                Some(content) => std::fs::write(root.join(name), content).unwrap(),
                None => std::fs::create_dir(root.join(name)).unwrap(),
            }
        }
        let store = open(&root).await.unwrap_or_else(|error| panic!("step {number}: {error}"));
        put(&store, "a", content(1, 10)).await.unwrap();
        let record = store.get_record(&scope(), &RecordName::parse("r").unwrap()).await;
        assert_eq!(record.is_ok(), number >= 4, "step {number}: an index that has its name is kept: {record:?}");
        drop(store);
        let store = open(&root).await.unwrap();
        assert_eq!(get(&store, "a").await.unwrap(), content(1, 10));
        drop(store);
        let top: Vec<String> = paths(&root).into_iter().filter(|path| !path.contains('/')).collect();
        assert_eq!(top, ["final", "format", "index.sqlite", "lock", "reserve", "staging", "temp"], "step {number}");
    }
    let root = dir.path().join("noise");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("index.sqlite"), "not ours").unwrap();
    refused(&root, "an index of nobody", is_index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_found_no_room_while_it_was_made_is_made_when_there_is_some() {
    let test = "a_store_that_found_no_room_while_it_was_made_is_made_when_there_is_some";
    let Some(tmpfs) = Tmpfs::mount(4, test) else { return };
    let mut refusals = 0;
    // The amounts of room at which each step of the creation fails in turn.
    for pages in 1..64 {
        tmpfs.resize(pages * 4);
        match open(tmpfs.path()).await {
            Ok(store) => {
                assert!(is_full(&put(&store, "a", content(1, 10)).await), "without a reserve nothing is taken in");
                drop(store);
                break;
            }
            Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => refusals += 1,
            Err(error) => panic!("{pages} pages: {error:?}"),
        }
    }
    assert!(refusals > 5, "only {refusals} sizes were too small");
    tmpfs.resize(64 << 10);
    filled(tmpfs.path()).await;
    check_filled(tmpfs.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_another_file_the_cause_and_its_path_are_told_once() {
    let test = "without_room_for_another_file_the_cause_and_its_path_are_told_once";
    let Some(tmpfs) = Tmpfs::mount(64 << 10, test) else { return };
    filled(tmpfs.path()).await;
    tmpfs.limit_files(1_000);
    let others = tmpfs.path().join("lost+found");
    std::fs::create_dir(&others).unwrap();
    let made = (0..1_000).take_while(|number| std::fs::File::create(others.join(number.to_string())).is_ok()).count();
    assert!(made < 1_000, "there is room for more files than there may be");
    let full = |error: &OpenError| matches!(error, OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    let error = refused(tmpfs.path(), "no file can be made", full).await;
    let path = tmpfs.path().join("index.sqlite-wal").display().to_string();
    assert_eq!(chain(&error), format!("{path}: No space left on device (os error 28)"));
    std::fs::remove_dir_all(&others).unwrap();
    check_filled(tmpfs.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_may_not_be_written_is_told_once_with_its_path() {
    let test = "an_index_that_may_not_be_written_is_told_once_with_its_path";
    let Some(tmpfs) = Tmpfs::mount(64 << 10, test) else { return };
    filled(tmpfs.path()).await;
    let index = tmpfs.path().join("index.sqlite");
    // Not even root may write to a file with this attribute.
    let set = |flag: &str| {
        let status = std::process::Command::new("chattr").arg(flag).arg(&index).status().expect("chattr(1)");
        assert!(status.success(), "chattr {flag}");
    };
    set("+i");
    let denied = |error: &OpenError| matches!(error, OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    let error = refused(tmpfs.path(), "an index that can't be written", denied).await;
    assert_eq!(chain(&error), format!("{}: Operation not permitted (os error 1)", index.display()));
    set("-i");
    check_filled(tmpfs.path()).await;
}
