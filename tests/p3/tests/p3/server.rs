//! The server with a portal of WASI 0.3, and with the built-in one beside it.

use crate::stores::{Kind, TestStore};
use crate::wait;
use libtest_mimic::Failed;
use portico_server::runtime::{Limits, Runtime};
use portico_server::server::{Server, Settings};
use portico_store::{FileId, Scope};
use portico_test_artifacts::PORTAL as BUILT_IN;
use portico_test_p3::PORTAL;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a client may stall a body in these tests.
const IDLE: Duration = Duration::from_secs(2);

/// A server in this process.
struct Running {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    store: TestStore,
}

impl Running {
    async fn start(kind: Kind, portal: &[u8]) -> Running {
        let store = TestStore::open(kind).await;
        let limits = Limits { guests: 16, cpu: Duration::from_millis(500), ..Limits::default() };
        let runtime = Runtime::new(portal, store.backend.clone(), Scope::root(), limits).expect("a portal");
        let settings = Settings { body_idle_timeout: IDLE, max_requests: 16, ..Settings::default() };
        let server = Server::bind(([127, 0, 0, 1], 0).into(), runtime, store.backend.clone(), settings).await;
        let server = server.expect("an address");
        let addr = server.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async { _ = stopped.await }));
        Running { addr, stop: Some(stop), task, store }
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.expect("no panic");
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    /// Sends a request, and returns the status and the body. The body of a response that was cut off is an error.
    async fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let mut client = self.connect().await;
        client.write_all(&head(method, path, body.len())).await.map_err(|error| error.to_string())?;
        // A server that refuses the body may close before it has read all.
        let _ = client.write_all(body).await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        parse(&answer)
    }
}

fn head(method: &str, path: &str, length: usize) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
        .into()
}

/// Reads a response. One in chunks must have its last chunk.
fn parse(answer: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let mut rest = &answer[end + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return Ok((status, rest.to_vec()));
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").ok_or("cut off before a chunk")?;
        let size =
            usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).map_err(|error| error.to_string())?;
        let chunk = rest.get(line + 2..line + 2 + size).ok_or("cut off in a chunk")?;
        if size == 0 {
            return Ok((status, body));
        }
        body.extend_from_slice(chunk);
        rest = rest.get(line + 2 + size + 2..).ok_or("cut off after a chunk")?;
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 3 + at % 251) as u8).collect()
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.to_owned().into()) }
}

/// Runs a test with a server, on a local store and on S3.
fn with(portal: &[u8], kind: Kind, test: impl AsyncFnOnce(&Running) -> Result<(), Failed>) -> Result<(), Failed> {
    wait(async {
        let running = Running::start(kind, portal).await;
        let result = test(&running).await;
        running.stop().await;
        result
    })
}

pub(crate) fn puts_and_gets(kind: Kind) -> Result<(), Failed> {
    with(PORTAL, kind, async |running| {
        let bytes = content(5_000_003);
        let (status, receipt) = running.request("PUT", "/file", &bytes).await?;
        check(status == 201 && receipt.starts_with(b"5000003 "), &format!("{status} {receipt:?}"))?;
        let (status, got) = running.request("GET", "/file", b"").await?;
        check(status == 200 && got == bytes, &format!("{status}, {} bytes", got.len()))?;
        check(running.request("PUT", "/file", b"other").await?.0 == 409, "the name is taken")?;
        check(running.request("GET", "/none", b"").await?.0 == 404, "nothing is there")?;
        check(running.request("HEAD", "/file", b"").await?.0 == 405, "no HEAD")?;
        check(running.request("DELETE", "/file", b"").await?.0 == 200, "deleted")?;
        check(running.request("GET", "/file", b"").await?.0 == 410, "gone")?;
        let many = (0..8)
            .map(|number| async move { running.request("PUT", &format!("/many-{number}"), &content(700_000)).await });
        for put in futures_util::future::join_all(many).await {
            check(put?.0 == 201, "all are stored")?;
        }
        Ok(())
    })
}

/// A body that its client cut off or stalled is stored nowhere.
pub(crate) fn bodies_that_break_off(kind: Kind) -> Result<(), Failed> {
    with(PORTAL, kind, async |running| {
        let mut client = running.connect().await;
        client.write_all(&head("PUT", "/broken", 1_000_000)).await?;
        client.write_all(&content(300_000)).await?;
        drop(client);
        let mut client = running.connect().await;
        client
            .write_all(b"PUT /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await?;
        drop(client);

        let mut client = running.connect().await;
        client.write_all(&head("PUT", "/stalled", 1_000_000)).await?;
        client.write_all(&content(300_000)).await?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await?;
        let (status, words) = parse(&answer)?;
        check(
            status == 408 && words == b"Error::Stalled(300000)",
            &format!("{status} {}", String::from_utf8_lossy(&words)),
        )?;

        for id in ["broken", "chunks", "stalled"] {
            check(running.request("GET", &format!("/{id}"), b"").await?.0 == 404, id)?;
            let there = running.store.backend.stat_final(&Scope::root(), &FileId::parse(id)?).await;
            check(there.is_err(), &format!("{id} is visible"))?;
        }
        Ok(())
    })
}

/// A guest that fails ends its own request, visibly, and no other.
pub(crate) fn guests_that_fail(kind: Kind) -> Result<(), Failed> {
    with(PORTAL, kind, async |running| {
        check(running.request("GET", "/trap", b"").await?.0 == 500, "a trap")?;
        check(running.request("GET", "/spin", b"").await?.0 == 500, "endless computing")?;
        check(running.request("GET", "/error", b"").await?.0 == 502, "an error code")?;
        let cut = running.request("GET", "/cut", b"").await;
        check(
            cut.is_err(),
            &format!("a cut response looks whole: {:?}", cut.map(|(status, body)| (status, body.len()))),
        )?;

        running.request("PUT", "/file", &content(20_000_000)).await?;
        let mut client = running.connect().await;
        client.write_all(&head("GET", "/file", 0)).await?;
        client.read_exact(&mut [0; 1_000]).await?;
        drop(client);
        check(running.request("GET", "/file", b"").await?.1.len() == 20_000_000, "the next client is served")
    })
}

/// The same build serves portals of WASI 0.2.
pub(crate) fn the_built_in_portal(kind: Kind) -> Result<(), Failed> {
    with(BUILT_IN, kind, async |running| {
        check(running.request("PUT", "/files/a.txt", b"hello").await?.0 == 201, "stored")?;
        check(running.request("GET", "/health", b"").await?.0 == 200, "healthy")
    })
}
