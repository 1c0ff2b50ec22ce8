//! A hundred tenants on one store, one of them hostile: on a folder and on S3.

use portico_example_tenants::Server;
use portico_s3::S3Store;
use portico_store::guard::Usage;
use portico_store::{Backend, Scope, local::LocalStore};
use portico_test_artifacts::PORTAL;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const TENANTS: usize = 100;
const QUOTA: Usage = Usage { bytes: 100_000, objects: 20 };

/// What the hostile tenant sends at a time, and how often. It fits three times.
const GREED: usize = 30_000;
const GREEDY: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_tenant_on_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), Default::default()).await.unwrap();
    check(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_tenant_on_s3() {
    let s3 = portico_test_servers::Server::s3s().await;
    let bucket = s3.bucket().await;
    let store = S3Store::open(s3.options(&bucket)).await.unwrap();
    check(Arc::new(store)).await;
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

/// The content of an honest tenant.
fn content(tenant: usize) -> Vec<u8> {
    format!("the file of {}\n", name(tenant)).repeat(100 + tenant).into_bytes()
}

async fn serve(backend: Arc<dyn Backend>) -> SocketAddr {
    let tenants = (0..TENANTS).map(|tenant| (name(tenant), QUOTA));
    let server = Arc::new(Server::new(PORTAL, backend, tenants).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    address
}

/// Sends one request, and returns the status and the body of the answer.
async fn send(server: SocketAddr, tenant: &str, what: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut socket = TcpStream::connect(server).await.unwrap();
    let head = format!(
        "{what} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {tenant}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses content need not read it.
    let _ = socket.write_all(body).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

/// Stores a file, and returns the status and the file's path; an empty one if it was refused.
async fn put(server: SocketAddr, tenant: &str, file: &str, body: &[u8]) -> (u16, String) {
    let (status, receipt) = send(server, tenant, &format!("PUT /files/{file}"), body).await;
    let receipt = String::from_utf8(receipt).unwrap();
    let id = receipt.split_once("\"file_id\":\"").and_then(|(_, rest)| rest.split_once('"'));
    (status, id.map(|(id, _)| format!("/files/{id}")).unwrap_or_default())
}

async fn check(backend: Arc<dyn Backend>) {
    let server = serve(backend.clone()).await;
    let hostile: Vec<_> = (0..GREEDY)
        .map(|number| {
            tokio::spawn(async move { put(server, &name(0), &format!("greed-{number}"), &vec![b'x'; GREED]).await })
        })
        .collect();
    let honest: Vec<_> = (1..TENANTS)
        .map(|tenant| {
            tokio::spawn(async move {
                let (status, path) = put(server, &name(tenant), "report", &content(tenant)).await;
                assert_eq!(status, 201);
                let (status, body) = send(server, &name(tenant), &format!("GET {path}"), b"").await;
                assert!((status, body) == (200, content(tenant)), "{status}");
                path
            })
        })
        .collect();
    let mut of_others = String::new();
    for tenant in honest {
        of_others = tenant.await.unwrap();
    }
    let (mut statuses, mut paths) = (Vec::new(), Vec::new());
    for put in hostile {
        let (status, path) = put.await.unwrap();
        statuses.push(status);
        paths.extend(Some(path).filter(|_| status == 201));
    }
    let stored = statuses.iter().filter(|status| **status == 201).count();
    assert!((1..=3).contains(&stored), "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 507].contains(status)), "{statuses:?}");

    // No tenant sees the files of another, and a stranger sees no file.
    assert_eq!(send(server, &name(0), &format!("GET {of_others}"), b"").await.0, 404);
    assert_eq!(send(server, "stranger", &format!("GET {of_others}"), b"").await.0, 401);

    // The store agrees with the counters, and a server that starts anew counts what is there.
    for server in [server, serve(backend.clone()).await] {
        let (status, metrics) = send(server, "stranger", "GET /metrics", b"").await;
        let metrics = String::from_utf8(metrics).unwrap();
        assert_eq!(status, 200);
        for tenant in [0, 1, TENANTS - 1] {
            let scope = Scope::root().narrow(&name(tenant)).unwrap();
            let Usage { bytes, objects } = Usage::of(&*backend, &scope).await.unwrap();
            for (metric, value) in [("bytes", bytes), ("objects", objects)] {
                let line = format!("tenant_stored_{metric}{{tenant=\"{}\"}} {value}\n", name(tenant));
                assert!(metrics.contains(&line), "no {line} in\n{metrics}");
            }
        }
        assert!(metrics.contains(&format!("tenant_stored_bytes{{tenant=\"tenant-0\"}} {}\n", stored * GREED)));
    }

    // What is deleted makes room again.
    for path in paths {
        assert_eq!(send(server, &name(0), &format!("DELETE {path}"), b"").await.0, 204);
    }
    let (_, metrics) = send(server, "stranger", "GET /metrics", b"").await;
    assert!(String::from_utf8(metrics).unwrap().contains("tenant_stored_bytes{tenant=\"tenant-0\"} 0\n"));
    let (status, _) = put(server, &name(0), "modest", &vec![b'x'; GREED]).await;
    assert_eq!(status, 201);
}
