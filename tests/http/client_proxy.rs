//! The client through proxies: one that gathers requests before it passes them on, and one that speaks TLS.

use crate::fixture::command::{client, done, expect_content, failed, file_of, put_told};
use crate::fixture::{Pattern, Server};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What requests had as their authorization.
type Seen = Arc<Mutex<Vec<Option<String>>>>;

/// A proxy below `/portal/` that reads the whole of a request before it passes it on, and the whole of its answer before
/// that; one body at a time.
async fn gathering(upstream: SocketAddr, seen: Seen) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let seen = seen.clone();
            let pass = service_fn(move |request| pass(upstream, request, seen.clone()));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), pass));
        }
    });
    addr
}

async fn pass(
    upstream: SocketAddr,
    request: Request<Incoming>,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let authorization = request.headers().get("authorization").map(|value| value.to_str().expect("text").to_owned());
    seen.lock().expect("no panic under the lock").push(authorization);
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().expect("a path").as_str().strip_prefix("/portal").expect("a path below it");
    parts.uri = path.parse().expect("a path");
    let body = Full::new(body.collect().await?.to_bytes());
    let stream = TcpStream::connect(upstream).await.expect("the server accepts");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(Request::from_parts(parts, body)).await?.into_parts();
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// The certificate of a test of S3, which is for 127.0.0.1 and signed by itself.
fn certificate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../s3/tests/errors/loopback.pem")
}

/// What ends TLS before the server.
async fn tls(upstream: SocketAddr) -> SocketAddr {
    let certificates = CertificateDer::pem_file_iter(certificate()).expect("a file").map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate().with_file_name("loopback-key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust it goes away in the middle.
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(upstream).await.expect("the server accepts");
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_gathers_what_it_passes_on_changes_nothing() {
    let server = Server::start(&[]);
    let seen = Seen::default();
    let addr = gathering(server.addr, seen.clone()).await;
    let url = format!("http://{addr}/portal/");
    let content = Pattern::new(1, (12 << 20) + 1);
    let path = file_of(&server.store, "file", &content);
    let mut put = client(&url, "put", &["--json", path.to_str().expect("text")]);
    put.env("PORTICO_TOKEN", "of-the-test");
    let file = put_told(&tokio::task::block_in_place(|| done(put)), &content);
    let seen = std::mem::take(&mut *seen.lock().expect("no panic under the lock"));
    assert!(seen.len() > 4 && seen.iter().all(|value| value.as_deref() == Some("Bearer of-the-test")), "{seen:?}");
    let target = server.store.beside("target");
    let get = client(&url, "get", &[&file.id, "-o", target.to_str().expect("text")]);
    tokio::task::block_in_place(|| done(get));
    expect_content(&target, &content);
    tokio::task::block_in_place(|| server.finish(&[&file]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_trusts_whom_it_is_told_to_trust_and_nobody_else() {
    let server = Server::start(&[]);
    let url = format!("https://{}", tls(server.addr).await);
    let content = Pattern::new(1, (6 << 20) + 1);
    let path = file_of(&server.store, "file", &content);
    let path = path.to_str().expect("text");
    let untrusted = client(&url, "put", &[path]);
    let said = tokio::task::block_in_place(|| failed(untrusted, 1, &["TLS with https://"]));
    assert!(!said.err.contains("trying again"), "{said:?}");
    let trusted = client(&url, "put", &["--json", "--ca-file", certificate().to_str().expect("text"), path]);
    let file = put_told(&tokio::task::block_in_place(|| done(trusted)), &content);
    // What speaks no TLS is not waited for.
    let plain = client(&format!("https://{}", server.addr), "ls", &[]);
    tokio::task::block_in_place(|| failed(plain, 1, &["https://"]));
    tokio::task::block_in_place(|| server.finish(&[&file]));
}
