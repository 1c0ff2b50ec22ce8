//! What a crash of the adapter of `wasi:blobstore` may leave behind is removed by its maintenance, and nothing else is.

use crate::Store;
use crate::fixture::{Pattern, Server, portico, run};
use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{Backend, FileId, FinalOptions, RecordName, Scope, put_final, stream};
use portico_test_artifacts::BLOBS;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

/// A time long ago, in milliseconds since the Unix epoch.
const LONG_AGO: u64 = 1;

/// Content that is planted.
const CONTENT: &[u8] = b"left behind";

struct Planted {
    store: LocalStore,
    scope: Scope,
}

impl Planted {
    async fn open(store: &Store) -> Planted {
        let options = LocalOptions { durability: Durability::None, ..LocalOptions::default() };
        let store = LocalStore::open(&store.root(), options).await.expect("a store that opens again");
        Planted { store, scope: Scope::root().narrow("wasi-blobstore").expect("a scope") }
    }

    async fn content(&self, file: &str) {
        let file = FileId::parse(file).expect("an id");
        let mut content = stream::from_bytes(CONTENT);
        let put = put_final(&self.store, &self.scope, &file, &mut content, FinalOptions::default());
        put.await.expect("a put");
    }

    async fn record(&self, name: &str, value: String) {
        let name = RecordName::parse(name).expect("a name");
        self.store.create_record(&self.scope, &name, value.as_bytes()).await.expect("a record");
    }

    async fn text(&self, name: &RecordName) -> String {
        let record = self.store.get_record(&self.scope, name).await.expect("a record");
        String::from_utf8(record.value.to_vec()).expect("text")
    }

    async fn records(&self) -> Vec<RecordName> {
        self.store.list_records(&self.scope, "", None, 100).await.expect("a listing").entries
    }
}

#[test]
fn leftovers_of_a_crash_are_removed_and_nothing_else_is() {
    let store = Arc::new(Store::new());
    let portal = store.beside("blobs.wasm");
    fs::write(&portal, BLOBS).expect("a file");
    let portal = portal.display().to_string();
    let flags = ["--portal", &*portal, "--adapt", "blobstore"];
    let content = Pattern::new(1, 10_000);
    let put = |server: &Server, path: &str| {
        let mut connection = server.connect();
        connection.send_put(path, &[], &content);
        assert_eq!(connection.response().head.status, 201);
    };
    let mut server = Server::start_on(&store, &flags);
    put(&server, "/a/x");
    server.signal(rustix::process::Signal::TERM);
    server.wait();

    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio.block_on(async {
        let planted = Planted::open(&store).await;
        let records = planted.records().await;
        let [container, object] = &*records else { panic!("{records:?}") };
        let container = planted.text(container).await.split(' ').nth(1).expect("an id").to_owned();
        let linked = planted.text(object).await.split(' ').nth(1).expect("an id").to_owned();
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
        for file in ["unlinked", "replaced", "undeleted", "of-a-dead-container", "linked-too-late", "young"] {
            planted.content(file).await;
        }
        let note = |time, old: &str| format!("1 {time} na {container} nx {old}");
        // A write that ended before it linked its content, and one that ended after that.
        planted.record("w/unlinked", note(LONG_AGO.into(), "-")).await;
        planted.record(&format!("w/{linked}"), note(LONG_AGO.into(), "replaced")).await;
        // A write that never completed its content, and one that may still be under way.
        planted.record("w/never-completed", note(LONG_AGO.into(), "-")).await;
        planted.record("w/young", note(now, "-")).await;
        // A deletion that ended before it deleted the record, and one that ended after that.
        planted.record(&format!("x/{linked}"), format!("1 {LONG_AGO} {container} nx")).await;
        planted.record("x/undeleted", format!("1 {LONG_AGO} {container} ngone")).await;
        // A container that was deleted and still has an object, one that is not deleted, and an object that came too late.
        planted.record("o/dead/ny", "1 of-a-dead-container 11 1\ny".to_owned()).await;
        planted.record("d/dead", format!("1 {LONG_AGO} nb")).await;
        planted.record(&format!("d/{container}"), format!("1 {LONG_AGO} na")).await;
        planted.record("o/gone/nz", "1 linked-too-late 11 1\nz".to_owned()).await;
        planted.record("w/linked-too-late", format!("1 {LONG_AGO} nb gone nz -")).await;
    });

    let mut sweep = portico(["sweep", "--store", &*format!("file:{}", store.root().display())]);
    sweep.args(flags);
    let swept = run(sweep);
    assert_eq!((swept.code, &*swept.err), (Some(0), ""), "{swept:?}");
    assert!(swept.out.contains("cleared 8 ended ones"), "{}", swept.out);
    tokio.block_on(async {
        let planted = Planted::open(&store).await;
        let records = planted.records().await;
        let names: Vec<&str> = records.iter().map(RecordName::as_str).collect();
        let [container, object, young] = &*names else { panic!("{names:?}") };
        assert!(container.starts_with("c/na") && object.ends_with("/nx") && *young == "w/young", "{names:?}");
        let listed = portico_store::list_final_receipts(&planted.store, &planted.scope, None, 100).await;
        let files: Vec<String> = listed.expect("a listing").entries.iter().map(|file| file.file.to_string()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files.contains(&"young".to_owned()), "{files:?}");
    });
    let server = Server::start_on(&store, &flags);
    let mut connection = server.connect();
    connection.request("GET /a/x", &[]);
    let head = connection.head();
    connection.expect_content(&head, &content, 0..content.size());
}
