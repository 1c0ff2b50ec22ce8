//! A bucket that is copied in the order of `docs/backup.md` while files are put and deleted.

use crate::busy::{Busy, Put, expect_restored};
use crate::fixture::{Server, run};
use crate::{S3Server, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) fn a_copy_in_the_right_order_lacks_only_what_was_deleted_meanwhile(s3: &Arc<S3Server>) {
    let (store, copy) = (Arc::new(Store::on(s3)), Arc::new(Store::on(s3)));
    let server = Server::start_on(&store, &[]);
    let busy = Busy::default();
    let (puts, made) = std::thread::scope(|scope| {
        let (busy, server) = (&busy, &server);
        let end = busy.until_dropped();
        let clients: Vec<_> = (0..2).map(|client| scope.spawn(move || busy.client(server, client))).collect();
        busy.goes_on(60);
        let began = busy.tick();
        for kind in ["receipt/", "record/", "format"] {
            store.copy_to(&copy, kind);
            busy.goes_on(10);
        }
        store.copy_to(&copy, "final/");
        let ended = busy.tick();
        drop(end);
        let puts = clients.into_iter().flat_map(|client| client.join().expect("a client"));
        let puts: BTreeMap<String, Put> = puts.map(|put| (put.file.id.clone(), put)).collect();
        (puts, began..ended)
    });
    drop(server);
    let mut command = copy.command("check");
    command.args(["--files", "--digests"]);
    let said = run(command);
    let missing = said.out.lines().filter_map(|line| line.strip_prefix("missing: "));
    let missing: BTreeSet<String> = missing
        .map(|line| {
            line.rsplit_once("/").and_then(|(_, name)| name.split_once('!')).expect("a key of data").0.to_owned()
        })
        .collect();
    assert_eq!((said.code, &*said.err), (Some(if missing.is_empty() { 0 } else { 1 }), ""), "{said:?}");
    for word in ["short: ", "long: ", "changed: ", "unreadable: ", "unknown: "] {
        assert!(!said.out.contains(word), "{said:?}");
    }
    let (server, throughout) = expect_restored(&copy, &puts, made, |id| missing.contains(id));
    assert!(throughout > 10, "few files were there throughout: {throughout}");
    for id in &missing {
        assert_eq!(server.ask(&format!("DELETE /files/{id}"), &[]).head.status, 204);
    }
    drop(server);
    let mut command = copy.command("check");
    command.arg("--files");
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
}
