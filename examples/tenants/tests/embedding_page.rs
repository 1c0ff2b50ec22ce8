//! The code of docs/embedding.md, compiled and run. Invariant: each block of the page stands here, but for its indentation.

use portico_host::{StorageCtx, StorageCtxView, StorageView};
use portico_s3::{Credentials, Location, S3Options, S3Store};
use portico_server::runtime::{Limits, Runtime};
use portico_server::server::{Server, Settings};
use portico_store::guard::{Quota, Usage};
use portico_store::local::{LocalOptions, LocalStore};
use portico_store::{Backend, FileId, Scope};
use portico_test_artifacts::{EXAMPLES, PORTAL};
use std::any::Any;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing::Instrument as _;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    storage: StorageCtx,
}

impl StorageView for Guest {
    fn storage(&mut self) -> StorageCtxView<'_> {
        StorageCtxView { ctx: self.storage.clone(), table: &mut self.table }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The context of a runtime that hands plugins out by name.
struct Ctx {
    table: ResourceTable,
    wasi: WasiCtx,
    storage: Arc<dyn Any + Send + Sync>,
}

impl Ctx {
    fn plugin<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        (name == "storage").then(|| self.storage.clone().downcast().ok())?
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The command that stores its input under the id in its argument.
fn program(engine: &Engine) -> wasmtime::Result<Component> {
    Component::new(engine, EXAMPLES.iter().find(|(name, _)| *name == "store-stdin").expect("an example").1)
}

fn wasi(name: &str) -> WasiCtx {
    WasiCtx::builder().stdin(MemoryInputPipe::new("content")).args(&["guest", name]).build()
}

async fn open(folder: &Path) -> Result<Arc<dyn Backend>, Box<dyn Error>> {
    let backend: Arc<dyn Backend> = Arc::new(LocalStore::open(folder, LocalOptions::default()).await?);
    Ok(backend)
}

#[tokio::test]
async fn first_steps() -> Result<(), Box<dyn Error>> {
    let (folder, engine) = (tempfile::tempdir()?, Engine::default());
    let folder = folder.path();

    // Once.
    let backend: Arc<dyn Backend> = Arc::new(LocalStore::open(folder, LocalOptions::default()).await?);
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    portico_host::add_to_linker(&mut linker)?;

    // For each guest.
    let storage = StorageCtx::builder(backend.clone(), Scope::root().narrow("alice")?).build();

    let guest = Guest { table: ResourceTable::new(), wasi: wasi("stored"), storage };
    let mut store = Store::new(&engine, guest);
    let command = Command::instantiate_async(&mut store, &program(&engine)?, &linker).await?;
    let tenant = "alice";
    let request = tracing::info_span!("request", tenant);
    let finished = command.wasi_cli_run().call_run(&mut store).instrument(request).await?;
    assert!(finished.is_ok());
    assert_eq!(backend.stat_final(&Scope::root().narrow("alice")?, &FileId::parse("stored")?).await?.size, 7);
    Ok(())
}

#[tokio::test]
async fn a_store_type_that_is_not_yours() -> Result<(), Box<dyn Error>> {
    let (folder, engine) = (tempfile::tempdir()?, Engine::default());
    let backend = open(folder.path()).await?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;

    portico_host::add_to_linker_with(&mut linker, |ctx: &mut Ctx| {
        let storage = ctx.plugin::<StorageCtx>("storage").expect("the host gave it");
        StorageCtxView { ctx: (*storage).clone(), table: &mut ctx.table }
    })?;

    let storage = Arc::new(StorageCtx::new(backend.clone(), Scope::root()));
    let ctx = Ctx { table: ResourceTable::new(), wasi: wasi("stored"), storage };
    let mut store = Store::new(&engine, ctx);
    let command = Command::instantiate_async(&mut store, &program(&engine)?, &linker).await?;
    assert!(command.wasi_cli_run().call_run(&mut store).await?.is_ok());
    assert_eq!(backend.stat_final(&Scope::root(), &FileId::parse("stored")?).await?.size, 7);
    Ok(())
}

#[tokio::test]
async fn quotas() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (backend, scope) = (open(folder.path()).await?, Scope::root());

    let quota = Quota::new(Usage { bytes: 10 << 30, objects: 100_000 });
    quota.set_used(Usage::of(&*backend, &scope).await?); // at the start: what is there
    let storage = StorageCtx::builder(backend, scope).quota(quota.clone()).build();

    drop(storage);
    assert_eq!(quota.used(), Usage::default());
    Ok(())
}

#[tokio::test]
async fn s3() -> Result<(), Box<dyn Error>> {
    let server = portico_test_servers::Server::s3s().await;
    let bucket = server.bucket().await;
    let (key_id, secret) = ("id", "secret");

    let mut options = S3Options::new(Location::parse("bucket/prefix")?);
    options.endpoint = Some("https://s3.example.org".to_owned());
    options.credentials = Some(Credentials::new(key_id, secret).into());
    assert_eq!(options.location, Location::parse("bucket/prefix")?);

    let options = server.options(&bucket);
    let backend: Arc<dyn Backend> = Arc::new(S3Store::open(options).await?);

    backend.ready().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_server() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (backend, component) = (open(folder.path()).await?, PORTAL);
    let addr = ([127, 0, 0, 1], 0).into();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { _ = stopped.await };

    let runtime = Runtime::new(component, backend.clone(), Scope::root().narrow("inbox")?, Limits::default())?;
    let server = Server::bind(addr, runtime, backend, Settings::default()).await?;
    let addr = server.local_addr()?;
    let client = tokio::spawn(async move {
        let mut client = tokio::net::TcpStream::connect(addr).await?;
        client.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        drop(stop);
        std::io::Result::Ok(answer)
    });
    server.run(stopped).await;

    let answer = client.await??;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    Ok(())
}

#[test]
fn each_line_of_the_page_stands_here() {
    let here: Vec<&str> = include_str!("embedding_page.rs").lines().map(str::trim).collect();
    let page = include_str!("../../../docs/embedding.md");
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 5, "{}", blocks.len());
    for block in blocks {
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(here.contains(&line), "docs/embedding.md has a line that no test runs: {line}");
        }
    }
}
