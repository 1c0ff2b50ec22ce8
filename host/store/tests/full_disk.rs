//! A filesystem without room: operations that need room are refused and leave nothing, operations that free room
//! succeed.

mod support;

use portico_store::local::{LocalOptions, LocalStore, OpenError};
use portico_store::{
    Backend, Error, FinalOptions, IfExists, PartOptions, Reason, RecordName, TempKey, assemble_final, put_part, stream,
};
use rustix::fs::statvfs;
use std::path::Path;
use std::process::Command;
use support::*;

/// Size of the filesystem of a test, in KiB.
const DISK: u64 = 24 << 10;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Puts objects until none fits any more, large ones first; returns their number. Each refusal leaves nothing.
async fn fill(store: &LocalStore, root: &Path, prefix: &str) -> usize {
    let mut number = 0;
    for size in [MIB, 64 * KIB, 4 * KIB, 1] {
        loop {
            let before = paths(&root.join("final"));
            let stored = put(store, &format!("{prefix}{number}"), content(number as u8, size)).await;
            if is_full(&stored) {
                assert_eq!(paths(&root.join("final")), before, "a refused object has no name");
                assert!(paths(&root.join("staging")).is_empty(), "and no data");
                break;
            }
            stored.unwrap_or_else(|error| panic!("object {number} of {size} bytes: {error:?}"));
            number += 1;
            assert!(number < 10_000, "the filesystem never gets full");
        }
    }
    number
}

/// Takes the last of the room, also what was too little for the store's objects.
fn stuff(root: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(root.join("lost+found")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    assert_eq!(statvfs(root).unwrap().f_bavail, 0);
}

fn record(name: &str) -> RecordName {
    RecordName::parse(name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_work_on_a_full_disk_and_make_room_for_puts() {
    let Some(disk) = Tmpfs::mount(DISK, "deletes_work_on_a_full_disk_and_make_room_for_puts") else { return };
    let store = open(disk.path()).await.unwrap();
    let count = fill(&store, disk.path(), "a").await;
    assert!(count > 10, "only {count} objects fit");
    for number in 0..count {
        let stat = store.stat_final(&scope(), &file(&format!("a{number}"))).await.unwrap();
        assert_eq!(get(&store, &format!("a{number}")).await.unwrap(), content(number as u8, stat.size as usize));
    }
    assert!(delete(&store, "a0").await.unwrap());
    put(&store, "b", content(1, MIB / 2)).await.unwrap();
    assert_eq!(get(&store, "b").await.unwrap(), content(1, MIB / 2));

    // Over and over, and with the store opened anew in between.
    fill(&store, disk.path(), "c").await;
    drop(store);
    let store = open(disk.path()).await.unwrap();
    for number in 1..8 {
        fill(&store, disk.path(), &format!("d{number}-")).await;
        assert!(delete(&store, &format!("a{number}")).await.unwrap());
        put(&store, &format!("e{number}"), content(1, MIB / 2)).await.unwrap();
    }
    drop(store);
    let store = open(disk.path()).await.unwrap();
    assert!(matches!(get(&store, "a1").await, Err(Error::Gone(_))));
    assert_eq!(get(&store, "e7").await.unwrap(), content(1, MIB / 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_frees_room_works_when_there_is_none_at_all() {
    let Some(disk) = Tmpfs::mount(DISK, "everything_that_frees_room_works_when_there_is_none_at_all") else { return };
    let root = disk.path();
    let store = open(root).await.unwrap();
    let part_key = part(&store, "s", 0, None, content(1, KIB)).await.unwrap().key;
    for number in 0..4 {
        part(&store, "t", number, Some(u64::from(number) * KIB as u64), content(2, KIB)).await.unwrap();
    }
    for number in 0..100 {
        put(&store, &format!("small{number}"), Vec::new()).await.unwrap();
        store.create_record(&scope(), &record(&format!("r{number}")), &[0; 100]).await.unwrap();
    }
    let version = store.create_record(&scope(), &record("kept"), b"").await.unwrap();
    fill(&store, root, "a").await;
    stuff(root);

    assert!(is_full(&put(&store, "no", content(1, 1)).await));
    assert!(is_full(&part(&store, "u", 0, None, content(1, 1)).await));
    assert!(is_full(&part(&store, "u", 0, Some(0), content(1, 1)).await));
    for number in 0..500 {
        // The log has some room of its own; when that is used up this is refused.
        let made = store.create_record(&scope(), &record(&format!("more{number}")), &[1; 16 << 10]).await;
        assert!(made.is_ok() || is_full(&made), "{made:?}");
        if made.is_err() {
            break;
        }
        assert!(number < 499, "records never run out of room");
    }
    assert!(is_full(&store.replace_record(&scope(), &record("kept"), &version, &[1; 60 << 10]).await));

    // No object has data, so each of these frees only a row.
    for number in 0..100 {
        assert!(delete(&store, &format!("small{number}")).await.unwrap());
        assert!(store.delete_record(&scope(), &record(&format!("r{number}")), None).await.unwrap());
        let reason = Reason::parse("expired").unwrap();
        assert!(store.void_final(&scope(), &file(&format!("void{number}")), &reason).await.unwrap());
        // The log may have been cut back, which frees room; the reserve is not for puts.
        let stored = put(&store, &format!("maybe{number}"), content(1, 1)).await;
        let whole = std::fs::metadata(root.join("reserve")).unwrap().len() > 0;
        assert!(is_full(&stored) || (stored.is_ok() && whole), "{stored:?}, reserve {whole}");
    }
    assert!(store.delete_part(&scope(), &part_key).await.unwrap());
    assert_eq!(store.delete_session(&scope(), &session("t")).await.unwrap(), 4);
    store.sweep().await.unwrap();
    drop(store);

    let store = open(root).await.unwrap();
    assert!(matches!(store.stat_final(&scope(), &file("small99")).await, Err(Error::Gone(_))));
    assert!(matches!(store.stat_final(&scope(), &file("void99")).await, Err(Error::Gone(_))));
    assert!(matches!(store.get_record(&scope(), &record("r99")).await, Err(Error::NotFound)));
    assert!(store.list_sessions(&scope(), None, 10).await.unwrap().entries.is_empty());
    std::fs::remove_file(root.join("lost+found")).unwrap();
    assert!(delete(&store, "a0").await.unwrap() && delete(&store, "a1").await.unwrap());
    put(&store, "yes", content(1, KIB)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_that_go_on_do_not_take_what_a_delete_needs() {
    let Some(disk) = Tmpfs::mount(DISK, "puts_that_go_on_do_not_take_what_a_delete_needs") else { return };
    let store = std::sync::Arc::new(open(disk.path()).await.unwrap());
    for number in 0..200 {
        put(&store, &format!("small{number}"), Vec::new()).await.unwrap();
    }
    fill(&store, disk.path(), "a").await;
    stuff(disk.path());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut puts = Vec::new();
    for writer in 0..4 {
        // Together more than the reserve.
        let (store, stop, large) = (store.clone(), stop.clone(), content(3, 4 * MIB));
        puts.push(tokio::spawn(async move {
            let mut refused = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let id = format!("p{writer}-{refused}");
                match put(&store, &id, large.clone()).await {
                    Err(Error::NoSpace) => refused += 1,
                    other => panic!("{other:?}"),
                }
                tokio::task::yield_now().await;
            }
            refused
        }));
    }
    for number in 0..200 {
        let deleted = delete(&store, &format!("small{number}")).await;
        assert!(deleted.as_ref().is_ok_and(|deleted| *deleted), "delete {number}: {deleted:?}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in puts {
        assert!(writer.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assembly_without_room_changes_nothing_and_works_later() {
    let Some(disk) = Tmpfs::mount(DISK, "an_assembly_without_room_changes_nothing_and_works_later") else { return };
    let root = disk.path();
    let store = open(root).await.unwrap();
    put(&store, "room", content(0, 4 * MIB)).await.unwrap();
    // Parts of two sessions can't become an object without a copy.
    let mut keys: Vec<TempKey> = Vec::new();
    for (of, number) in [("s", 0), ("s", 1), ("t", 0)] {
        keys.push(part(&store, of, number, None, content(number as u8, MIB)).await.unwrap().key);
    }
    let mut placed = Vec::new();
    for number in 0..2 {
        placed
            .push(part(&store, "p", number, Some(u64::from(number) * MIB as u64), content(7, MIB)).await.unwrap().key);
    }
    fill(&store, root, "a").await;
    stuff(root);
    let before = (paths(&root.join("temp")), paths(&root.join("final")));
    for _ in 0..3 {
        let made = assemble_final(&store, &scope(), &file("whole"), &keys, FinalOptions::default()).await;
        assert!(is_full(&made), "{made:?}");
        assert_eq!((paths(&root.join("temp")), paths(&root.join("final"))), before);
        assert!(paths(&root.join("staging")).is_empty());
        assert!(matches!(store.stat_final(&scope(), &file("whole")).await, Err(Error::NotFound)));
    }
    assert!(delete(&store, "room").await.unwrap());
    let made = assemble_final(&store, &scope(), &file("whole"), &keys, FinalOptions::default()).await.unwrap();
    assert_eq!(made.size, 3 * MIB as u64);
    let expected: Vec<u8> = [0, 1, 0].into_iter().flat_map(|seed| content(seed, MIB)).collect();
    assert_eq!(get(&store, "whole").await.unwrap(), expected);
    // In place it needs only a name and a row.
    assemble_final(&store, &scope(), &file("placed"), &placed, FinalOptions::default()).await.unwrap();
    assert_eq!(store.counters().assembly_copied, 3 * MIB as u64, "only what had to be copied, and once");
    assert!(store.list_sessions(&scope(), None, 10).await.unwrap().entries.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_without_room_gives_back_what_it_took() {
    let Some(disk) = Tmpfs::mount(DISK, "a_part_without_room_gives_back_what_it_took") else { return };
    let store = open(disk.path()).await.unwrap();
    let free = || statvfs(disk.path()).unwrap().f_bavail;
    part(&store, "s", 0, Some(0), content(1, KIB)).await.unwrap();
    let before = free();
    for offset in [None, Some(MIB as u64)] {
        let refused = part(&store, "s", 1, offset, content(1, DISK as usize * KIB)).await;
        assert!(is_full(&refused), "{refused:?}");
        assert!(before - free() < 64, "{} pages are gone", before - free());
    }
    // The same for content with a wrong digest.
    let mut options = PartOptions { offset: Some(MIB as u64), ..PartOptions::default() };
    options.expected.size = Some(MIB as u64);
    options.expected.sha256 = Some(portico_store::Digest([0; 32]));
    let wrong = put_part(&store, &scope(), &session("s"), 2, &mut stream::from_bytes(content(1, MIB)), options).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch)), "{wrong:?}");
    assert!(before - free() < 64, "{} pages are gone", before - free());
    let options = PartOptions { if_exists: IfExists::SameContentOk, ..PartOptions::default() };
    let again = put_part(&store, &scope(), &session("s"), 0, &mut stream::from_bytes(content(1, KIB)), options).await;
    assert!(again.unwrap().replayed, "what was stored is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_without_room_leaves_the_store_as_it_was() {
    let Some(disk) = Tmpfs::mount(DISK, "a_rebuild_without_room_leaves_the_store_as_it_was") else { return };
    let root = disk.path();
    let store = open(root).await.unwrap();
    let count = fill(&store, root, "a").await;
    drop(store);
    std::fs::write(root.join("index.sqlite"), "damaged").unwrap();
    stuff(root);
    let before = snapshot(root);
    let error = LocalStore::rebuild(root, LocalOptions::default(), false).await.unwrap_err();
    let full = |error: &OpenError| matches!(error, OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    assert!(full(&error), "{error:?}");
    assert!(snapshot(root) == before);
    std::fs::remove_file(root.join("lost+found")).unwrap();
    let report = LocalStore::rebuild(root, LocalOptions::default(), false).await.unwrap();
    assert_eq!(report.objects, count as u64);
    let store = open(root).await.unwrap();
    assert!(delete(&store, "a0").await.unwrap());
}

/// Set in the process that runs with a limit on the size of files.
const LIMITED: &str = "PORTICO_TEST_LIMITED";

/// The same for a limit of the process, which any user can set: its largest file.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_the_size_of_files_is_a_lack_of_room_too() {
    let test = "a_limit_on_the_size_of_files_is_a_lack_of_room_too";
    if let Some(root) = std::env::var_os(LIMITED) {
        return limited(Path::new(&root)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    // In units of 512 bytes: a little more than the reserve. The signal that would kill the process is ignored.
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 17408; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(LIMITED, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(dir.path().join("final/main/ok").exists(), "the other process has run");
}

async fn limited(root: &Path) {
    let store = open(root).await.unwrap();
    let limit = 17408 * 512;
    put(&store, "ok", content(1, MIB)).await.unwrap();
    assert!(is_full(&put(&store, "large", content(2, limit + 1)).await));
    assert!(is_full(&part(&store, "s", 0, None, content(2, limit + 1)).await));
    assert!(is_full(&part(&store, "s", 0, Some(0), content(2, limit + 1)).await));
    assert!(is_full(&part(&store, "s", 0, Some(limit as u64), content(2, KIB)).await));
    assert!(paths(&root.join("staging")).is_empty());
    let a = part(&store, "s", 0, None, content(3, 6 * MIB)).await.unwrap().key;
    let b = part(&store, "s", 1, None, content(4, 6 * MIB)).await.unwrap().key;
    let made = assemble_final(&store, &scope(), &file("whole"), &[a.clone(), b], FinalOptions::default()).await;
    assert!(is_full(&made), "{made:?}");
    assert!(paths(&root.join("staging")).is_empty());
    assert!(delete(&store, "ok").await.unwrap());
    assert!(store.delete_part(&scope(), &a).await.unwrap());
    assert_eq!(store.delete_session(&scope(), &session("s")).await.unwrap(), 1);
    put(&store, "ok2", content(1, MIB)).await.unwrap();

    // The index can't grow beyond the limit either.
    let mut number = 0;
    let refused = loop {
        match store.create_record(&scope(), &record(&format!("r{number}")), &[number as u8; 64 << 10]).await {
            Ok(_) if number < 400 => number += 1,
            other => break other,
        }
    };
    assert!(is_full(&refused), "{refused:?} after {number}");
    drop(store);
    let store = open(root).await.unwrap();
    assert_eq!(get(&store, "ok2").await.unwrap(), content(1, MIB));
    for made in [0, number - 1] {
        let there = store.get_record(&scope(), &record(&format!("r{made}"))).await.unwrap();
        assert_eq!(there.value, [made as u8; 64 << 10], "what was acknowledged is there");
    }
    assert!(matches!(store.get_record(&scope(), &record(&format!("r{number}"))).await, Err(Error::NotFound)));
    drop(store);
    std::fs::write(root.join("final/main/ok"), "").unwrap();
}
