//! `portico check --files` over a bucket: each receipt against its data.

use crate::fixture::server::Said;
use crate::fixture::session::PART;
use crate::fixture::{Pattern, Server, Session, Stored, run};
use crate::{S3Server, Store};
use std::sync::Arc;

fn verify(store: &Store, flags: &[&str]) -> Said {
    let mut command = store.command("check");
    command.arg("--files").args(flags);
    run(command)
}

/// Fails unless a comparison finds just these differences. Only unknown objects are no fault.
#[track_caller]
fn expect_found(store: &Store, flags: &[&str], expected: &[&str]) {
    let before = store.keys();
    let said = verify(store, flags);
    assert_eq!(store.keys(), before, "it changes nothing");
    let words = ["missing: ", "short: ", "long: ", "changed: ", "unreadable: ", "unknown: "];
    let mut found: Vec<&str> =
        said.out.lines().filter(|line| words.iter().any(|word| line.starts_with(word))).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{said:?}");
    let faults = expected.iter().filter(|line| !line.starts_with("unknown: ")).count();
    assert_eq!((said.code, &*said.err), (Some(if faults == 0 { 0 } else { 1 }), ""), "{said:?}");
}

fn bytes(content: &Pattern, size: u64) -> Vec<u8> {
    content.pieces_of(0..size).flatten().copied().collect()
}

pub(crate) fn each_difference_is_found_and_nothing_is_changed(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let server = Server::start_on(&store, &[]);
    let files: Vec<Stored> =
        [0, 1_000, 2_000, 300_000].into_iter().map(|size| server.put("a", &Pattern::new(size, size))).collect();
    let gone = server.put("gone", &Pattern::new(9, 9));
    assert_eq!(server.ask(&format!("DELETE {}", gone.path()), &[]).head.status, 204);
    let session = Session::begin(&server, &Pattern::new(5, 2 * PART), PART);
    let mut connection = server.connect();
    for number in 1..=2 {
        assert_eq!(session.try_part(&mut connection, number, &[]).expect("an answer").head.status, 201);
    }
    let said = verify(&store, &["--digests"]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("compared 4 files and 2 parts of unfinished uploads, 434072 bytes"), "{said:?}");
    assert_eq!(said.out.lines().last(), Some("all files are as their receipts say"), "{said:?}");

    let keys = store.keys();
    let part = |number: u64| {
        let begin = format!("temp/main/{}!{number:010}!", session.id);
        keys.keys().find(|key| key.contains(&begin)).expect("the data of a part").clone()
    };
    let key = |file: &Stored| store.place(&file.id)[2].clone();
    let other = |size| bytes(&Pattern::new(77, size), size);
    store.replace(&key(&files[3]), Some(other(300_000)));
    store.replace(&part(2), Some(other(PART)));
    expect_found(&store, &[], &[]);
    let changed = [
        format!("changed: {}, its digest is not that of its receipt", key(&files[3])),
        format!("changed: {}, part 2, its digest is not that of its receipt", part(2)),
    ];
    expect_found(&store, &["--digests"], &changed.each_ref().map(|line| &**line));

    let places: Vec<String> = files.iter().map(key).collect();
    store.replace(&places[0], None);
    store.replace(&places[1], Some(other(999)));
    store.replace(&places[2], Some(other(2_001)));
    store.replace(&part(1), None);
    let prefix = places[0].split_once("final/").expect("a key of data").0.to_owned();
    let unknown = format!("{prefix}final/main/thesis.txt");
    let unfinished = format!("{prefix}final/main/nobody!0123456789abcdef0123456789abcdef");
    store.replace(&unknown, Some(other(10)));
    store.replace(&unfinished, Some(other(10)));
    let expected = [
        format!("missing: {}, 0 bytes", places[0]),
        format!("short: {}, 999 bytes in place of 1000", places[1]),
        format!("long: {}, 2001 bytes in place of 2000", places[2]),
        format!("missing: {}, part 1, {PART} bytes", part(1)),
        format!("unknown: {unknown}, no receipt names it"),
    ];
    expect_found(&store, &[], &expected.each_ref().map(|line| &**line));
    let said = verify(&store, &[]);
    assert!(said.out.contains("1 files belong to uploads that run or were killed"), "{said:?}");
    drop(server);
}

pub(crate) fn a_bucket_without_a_store_is_refused_and_stays_empty(s3: &Arc<S3Server>) {
    let store = Store::on(s3);
    let said = verify(&store, &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("`format`"), "{said:?}");
    assert_eq!(store.keys().into_keys().collect::<Vec<_>>(), Vec::<String>::new());
}
