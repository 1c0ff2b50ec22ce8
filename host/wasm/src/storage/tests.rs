//! What guests cannot bring about, and what they can do wrong, on the host functions themselves.

use super::arguments::{self, Listing};
use super::link::checked;
use super::{Failure, SecondTable, StorageCtx, StorageCtxView, StorageView, Store, add_to_linker, add_to_linker_sync};
use crate::bindings::portico::storage::storage::{self as wit, Host as _, HostStore as _, HostWriter as _};
use crate::testing::{Fake, Source, Step, Stored};
use bytes::Bytes;
use portico_store::{Argument, Cursor, Error, Scope, limits};
use std::sync::{Arc, Mutex};
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine};
use wasmtime_wasi::p2::{DynInputStream, Pollable as _, StreamError, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

struct Guest {
    storage: StorageCtx,
    table: ResourceTable,
    wasi: WasiCtx,
    /// A second table, if the host has the fault of one.
    wasi_table: Option<ResourceTable>,
}

impl StorageView for Guest {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.table }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: self.wasi_table.as_mut().unwrap_or(&mut self.table) }
    }
}

impl Guest {
    fn new(fake: &Fake) -> Self {
        let storage = StorageCtx::new(Arc::new(fake.clone()), Scope::root());
        Guest { storage, table: ResourceTable::new(), wasi: WasiCtx::default(), wasi_table: None }
    }

    async fn open(&mut self) -> Resource<Store> {
        self.storage().open().await.expect("a store")
    }

    /// The handle again, as a borrow: a guest's own stays with it.
    fn borrow(store: &Resource<Store>) -> Resource<Store> {
        Resource::new_borrow(store.rep())
    }

    fn content(&mut self, source: Source) -> Resource<DynInputStream> {
        self.table.push(source.boxed()).expect("room")
    }

    /// What the guest is told.
    fn told(&mut self, failure: Failure) -> wit::Error {
        self.storage().convert_error(failure).expect("not a trap")
    }
}

fn part_options() -> wit::PartOptions {
    wit::PartOptions {
        expected: wit::Expected { size: None, sha256: None, others: Vec::new() },
        if_exists: wit::IfExists::Fail,
        offset: None,
        want_sha256: false,
        unless_final: None,
        limit: None,
        keep_prefix: false,
        previous: None,
        compute: Vec::new(),
    }
}

fn hello() -> Source {
    Source::new([Step::Bytes(Bytes::from_static(b"hello"))])
}

fn key(number: usize) -> String {
    format!("s/{number}/{}", "0".repeat(32))
}

#[test]
fn a_linker_takes_the_interface_once() {
    let mut config = Config::new();
    config.concurrency_support(false);
    let mut linker = Linker::<Guest>::new(&Engine::new(&config).expect("an engine"));
    add_to_linker(&mut linker).expect("the first time");
    assert!(add_to_linker(&mut linker).is_err(), "the second time");
    let mut linker = Linker::<Guest>::new(&Engine::new(&config).expect("an engine"));
    add_to_linker_sync(&mut linker).expect("the first time");
    assert!(add_to_linker_sync(&mut linker).is_err(), "the second time");
}

#[test]
fn the_synchronous_face_has_every_function() {
    let text = include_str!("../../wit/storage.wit");
    let text =
        &text[text.find("interface storage {").expect("the interface")..text.find("world imports").expect("its end")];
    let mut resource = None;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("resource ") {
            resource = name.split_whitespace().next();
        }
        let Some((name, kind)) = line.split_once(": ").filter(|_| !line.starts_with("///")) else { continue };
        let name = name.trim_start_matches('%');
        match (resource, kind) {
            (None, kind) if kind.starts_with("func(") => names.push(name.to_owned()),
            (Some(of), kind) if kind.starts_with("func(") => names.push(format!("[method]{of}.{name}")),
            (Some(of), kind) if kind.starts_with("static func(") => names.push(format!("[static]{of}.{name}")),
            _ => {}
        }
    }
    assert!(names.len() > 30 && names.contains(&"[static]writer.finish".to_owned()), "{names:?}");

    let mut linker = Linker::<Guest>::new(&Engine::default());
    add_to_linker_sync(&mut linker).expect("the first time");
    let mut instance = linker.instance("portico:storage/storage@0.2.0").expect("the interface");
    for name in names {
        // A linker takes a name once.
        assert!(instance.func_new(&name, |_, _, _, _| Ok(())).is_err(), "{name} is missing");
    }
}

fn is_explained(error: &wasmtime::Error) -> bool {
    error.downcast_ref() == Some(&SecondTable) && error.to_string().contains("return the same `ResourceTable`")
}

#[tokio::test]
async fn a_second_table_is_explained_at_the_first_call() {
    let mut guest = Guest::new(&Fake::new());
    checked(&mut guest).open().await.expect("one table");
    guest.wasi_table = Some(ResourceTable::new());
    let trap = checked(&mut guest).open().await.expect_err("two tables");
    assert!(is_explained(&trap), "{trap:?}");
}

#[tokio::test]
async fn a_handle_that_is_in_no_table_of_storage_is_explained() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let mut other = ResourceTable::new();
    let store = guest.open().await;
    // Of another type in the table of storage, and in none of its places.
    for _ in 0..2 {
        let content: Resource<DynInputStream> = other.push(hello().boxed()).expect("room");
        let put = guest.storage().put_final(Guest::borrow(&store), "f".to_owned(), content, final_options()).await;
        let Err(Failure::Trap(trap)) = put else { panic!("a trap: {put:?}") };
        assert!(is_explained(&trap), "{trap:?}");
    }
    let error = other.push(wasmtime::format_err!("of a stream")).expect("room");
    let trap = guest.storage().error_of(error).await.expect_err("not in the table");
    assert!(is_explained(&trap), "{trap:?}");
    assert_eq!(fake.finished(), 0);
}

#[tokio::test]
async fn content_with_a_live_pollable_is_refused_and_dropped() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let store = guest.open().await;
    let source = hello();
    let alive = Arc::downgrade(&source.alive);
    let content = guest.content(source);
    let index = content.rep();
    let pollable = subscribe(&mut guest.table, Resource::<DynInputStream>::new_borrow(index)).expect("a pollable");

    let put = guest.storage().put_temp_part(store, "s".to_owned(), 0, content, part_options()).await;
    let told = guest.told(put.expect_err("the guest holds a pollable"));
    assert!(matches!(told, wit::Error::InvalidArgument(wit::Argument::Content)), "{told:?}");
    assert!(alive.upgrade().is_none(), "consumed also on failure");
    assert_eq!(fake.finished(), 0);

    let rest = guest.table.get_mut(&Resource::<DynInputStream>::new_own(index)).expect("the pollable's stream");
    rest.ready().await;
    assert!(matches!(rest.read(1), Err(StreamError::Closed)));
    guest.table.delete(pollable).expect("the guest can drop its pollable");
}

#[tokio::test]
async fn content_is_consumed_by_a_put_with_a_bad_argument() {
    let mut guest = Guest::new(&Fake::new());
    let store = guest.open().await;
    let source = hello();
    let alive = Arc::downgrade(&source.alive);
    let content = guest.content(source);
    let put = guest.storage().put_temp_part(store, ".s".to_owned(), 0, content, part_options()).await;
    let told = guest.told(put.expect_err("not an id"));
    assert!(matches!(told, wit::Error::InvalidArgument(wit::Argument::SessionId)), "{told:?}");
    assert!(alive.upgrade().is_none());
}

#[tokio::test]
async fn a_writer_with_a_live_sink_traps() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let store = guest.open().await;
    let writer = guest.storage().create_temp_part(store, "s".to_owned(), 0, part_options()).await.expect("a writer");
    let again = || Resource::new_own(writer.rep());
    let sink = guest.storage().sink(again()).await.expect("a sink");

    let content = guest.content(hello());
    let trapped = guest.storage().pull(again(), content).await;
    assert!(matches!(trapped, Err(Failure::Trap(_))), "pull: {trapped:?}");
    let trapped = guest.storage().sink(again()).await;
    assert!(matches!(trapped, Err(Failure::Trap(_))), "a second sink: {trapped:?}");
    let nothing = wit::Expected { size: None, sha256: None, others: Vec::new() };
    let trapped = guest.storage().finish(again(), nothing.clone()).await;
    assert!(matches!(trapped, Err(Failure::Trap(_))), "finish: {trapped:?}");
    assert!(wit::HostWriter::drop(&mut guest.storage(), again()).await.is_err(), "drop");
    assert_eq!(fake.finished(), 0);

    guest.table.delete(sink).expect("the guest drops its sink");
    let receipt = guest.storage().finish(again(), nothing).await.expect("a receipt");
    assert!(matches!(receipt, wit::Receipt::TempPart(_)), "{receipt:?}");
    assert_eq!(fake.finished(), 1);
}

#[tokio::test]
async fn a_writer_fails_for_good_when_its_content_cannot_be_handed_over() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let store = guest.open().await;
    let writer = guest.storage().create_temp_part(store, "s".to_owned(), 0, part_options()).await.expect("a writer");
    let content = guest.content(hello());
    subscribe(&mut guest.table, Resource::<DynInputStream>::new_borrow(content.rep())).expect("a pollable");
    let pulled = guest.storage().pull(Resource::new_borrow(writer.rep()), content).await;
    let told = guest.told(pulled.expect_err("the guest holds a pollable"));
    assert!(matches!(told, wit::Error::InvalidArgument(wit::Argument::Content)), "{told:?}");
    let finished = guest.storage().finish(writer, wit::Expected { size: None, sha256: None, others: Vec::new() }).await;
    let told = guest.told(finished.expect_err("it has failed"));
    assert!(matches!(told, wit::Error::InvalidArgument(wit::Argument::Content)), "{told:?}");
    assert_eq!(fake.finished(), 0);
}

#[tokio::test]
async fn a_guest_holds_so_many_streams_and_writers_and_no_more() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    guest.storage = StorageCtx::builder(Arc::new(fake.clone()), Scope::root()).open_max(2).build();
    let store = guest.open().await;
    let borrowed = || Guest::borrow(&store);
    let serve = || *fake.stored.lock().expect("whole") = Some(Stored::new([]));

    serve();
    let stream = guest.storage().get_temp_part_stream(borrowed(), key(0), None).await.expect("a stream");
    let writer = guest.storage().create_final(borrowed(), "f".to_owned(), final_options()).await.expect("a writer");
    let more = guest.storage().get_final_stream(borrowed(), "fake".to_owned(), "f".to_owned(), None).await;
    let told = guest.told(more.expect_err("too many"));
    assert!(matches!(told, wit::Error::Unavailable(None)), "{told:?}");
    let more = guest.storage().create_temp_part(borrowed(), "s".to_owned(), 0, part_options()).await;
    let told = guest.told(more.expect_err("too many"));
    assert!(matches!(told, wit::Error::Unavailable(None)), "{told:?}");

    guest.table.delete(stream).expect("the guest drops it");
    serve();
    let stream = guest.storage().get_final_stream(borrowed(), "fake".to_owned(), "f".to_owned(), None).await;
    assert!(stream.is_ok(), "a place was given back");
    wit::HostWriter::drop(&mut guest.storage(), writer).await.expect("the guest drops it");
    let writer = guest.storage().create_temp_part(borrowed(), "s".to_owned(), 0, part_options()).await;
    assert!(writer.is_ok(), "a place was given back");
}

fn final_options() -> wit::FinalOptions {
    wit::FinalOptions {
        expected: wit::Expected { size: None, sha256: None, others: Vec::new() },
        if_exists: wit::IfExists::Fail,
        content_type: None,
        metadata: Vec::new(),
    }
}

#[tokio::test]
async fn a_host_fault_has_one_id_for_the_guest_and_the_log() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the index")]
    struct Outer(#[source] std::io::Error);

    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let store = guest.open().await;
    fake.fail_next(Error::internal(Outer(std::io::Error::other("sda1 is on fire"))));
    let stat = guest.storage().stat_final(Guest::borrow(&store), "f".to_owned()).await;
    let wit::Error::Internal(id) = guest.told(stat.expect_err("a fault")) else { panic!("an internal error") };
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let entries = log.take();
    assert_eq!(entries.lines().count(), 1, "{entries}");
    assert!(entries.contains(&id), "{entries}");
    assert!(entries.contains("internal error: cannot write the index: sda1 is on fire"), "{entries}");

    fake.fail_next(Error::Unavailable { retry_after: Some(7), cause: "no route to host".into() });
    let stat = guest.storage().stat_final(Guest::borrow(&store), "f".to_owned()).await;
    let told = guest.told(stat.expect_err("a fault"));
    assert!(matches!(told, wit::Error::Unavailable(Some(7))), "{told:?}");
    assert!(log.take().contains("no route to host"));

    let stat = guest.storage().stat_final(Guest::borrow(&store), "f".to_owned()).await;
    let told = guest.told(stat.expect_err("no such object"));
    assert!(matches!(told, wit::Error::NotFound), "{told:?}");
    assert_eq!(log.take(), "", "what a guest can cause is not logged as a fault");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().expect("whole"))).expect("text")
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_error_behind_a_failed_stream_is_told() {
    let fake = Fake::new();
    let mut guest = Guest::new(&fake);
    let store = guest.open().await;
    *fake.stored.lock().expect("whole") = Some(Stored::new([Err(Error::Denied("expired key".into()))]));
    let stream = guest.storage().get_temp_part_stream(store, key(0), None).await.expect("a stream");
    let read = guest.table.get_mut(&stream).expect("the stream").blocking_read(1).await;
    let Err(StreamError::LastOperationFailed(error)) = read else { panic!("a failure: {read:?}") };
    let error = guest.table.push(error).expect("room");
    let told = guest.storage().error_of(error).await.expect("no trap");
    assert!(matches!(told, Some(wit::Error::Denied)), "{told:?}");

    let foreign = guest.table.push(wasmtime::format_err!("of another kind")).expect("room");
    assert!(guest.storage().error_of(foreign).await.expect("no trap").is_none());
}

#[test]
fn expectations_have_their_form() {
    let check = |size, sha256: Option<usize>| {
        let sha256 = sha256.map(|len| vec![0; len]);
        portico_store::Expected::try_from(wit::Expected { size, sha256, others: Vec::new() }).map(|_| ())
    };
    assert!(check(Some(limits::SIZE_MAX), Some(32)).is_ok());
    assert!(check(None, None).is_ok());
    for (size, sha256) in [(None, Some(31)), (None, Some(33)), (None, Some(0)), (Some(limits::SIZE_MAX + 1), None)] {
        let checked = check(size, sha256);
        assert!(matches!(checked, Err(Error::InvalidArgument(Argument::Expected))), "{size:?} {sha256:?}");
    }
}

#[test]
fn a_page_has_its_form() {
    let kinds = [Listing::Parts, Listing::Sessions, Listing::Finals, Listing::Records, Listing::Gone];
    let cursor = |of: Listing| of.write(Some(Cursor::parse("name").expect("a cursor")));
    for of in kinds {
        assert!(arguments::page(of, None, 1).is_ok());
        for limit in [0, 1_001, u32::MAX] {
            assert!(
                matches!(arguments::page(of, None, limit), Err(Error::InvalidArgument(Argument::Limit))),
                "{limit}"
            );
        }
        let blank = arguments::page(of, Some(String::new()), 1);
        assert!(matches!(blank, Err(Error::InvalidArgument(Argument::Cursor))));
        let own = arguments::page(of, cursor(of), 1_000).expect("its own cursor");
        assert_eq!(own.0.as_ref().map(Cursor::as_str), Some("name"));
        assert_eq!(kinds.iter().filter(|other| arguments::page(**other, cursor(of), 1).is_ok()).count(), 1);
    }
}

#[test]
fn parts_are_few_enough_and_each_comes_once() {
    let keys = |count| (0..count).map(key).collect::<Vec<_>>();
    assert_eq!(arguments::parts(keys(limits::ASSEMBLY_PARTS_MAX)).expect("the most").len(), limits::ASSEMBLY_PARTS_MAX);
    let more = arguments::parts(keys(limits::ASSEMBLY_PARTS_MAX + 1));
    assert!(matches!(more, Err(Error::InvalidArgument(Argument::Parts))));
    let twice = arguments::parts(vec![key(1), key(2), key(1)]);
    assert!(matches!(twice, Err(Error::InvalidArgument(Argument::Parts))));
    let other = arguments::parts(vec!["s/01/0".to_owned()]);
    assert!(matches!(other, Err(Error::InvalidArgument(Argument::TempKey))));
}

#[test]
fn a_prefix_is_a_leading_piece_of_a_name() {
    let long = "a".repeat(128);
    for prefix in ["", "a", "a/", "a/b", "a.", &long, &format!("{long}/"), &format!("{long}/{}", &long[..127])] {
        assert!(arguments::record_prefix(prefix).is_ok(), "{prefix:?}");
    }
    for prefix in ["/", ".", "a//", "a/.", "a b", "a\0", &format!("{long}a"), &format!("{long}/{long}")] {
        let checked = arguments::record_prefix(prefix);
        assert!(matches!(checked, Err(Error::InvalidArgument(Argument::RecordName))), "{prefix:?}");
    }
}
