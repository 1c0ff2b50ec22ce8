//! A server in front of another one, which forwards requests or gives all of them one response.

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) const REQUEST_ID: &str = "REQUEST-0123456789";

/// The response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The code of an error of S3; absent: a page for people.
    pub(crate) code: Option<&'static str>,
    pub(crate) retry_after: Option<u32>,
    /// Sends no response at all.
    pub(crate) silent: bool,
    /// Forwards everything except `PUT`.
    pub(crate) only_puts: bool,
}

pub(crate) struct Front {
    pub(crate) endpoint: String,
    answer: Arc<Mutex<Option<Answer>>>,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Front {
    pub(crate) async fn start(upstream: &str) -> Front {
        Self::over(upstream, None).await
    }

    /// Starts a server over TLS, with the certificate in [`certificate`].
    pub(crate) async fn start_with_tls(upstream: &str) -> Front {
        let certificates = CertificateDer::pem_file_iter(certificate()).expect("a file").map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(folder().join("loopback-key.pem")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .expect("a certificate and its key");
        Self::over(upstream, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn over(upstream: &str, tls: Option<TlsAcceptor>) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let answer = Arc::default();
        let upstream = upstream.strip_prefix("http://").expect("without TLS").to_owned();
        let task = tokio::spawn(serve(listener, tls, upstream, Arc::clone(&answer)));
        Front { endpoint, answer, task }
    }

    /// Sets the response from now on; `None` forwards requests.
    pub(crate) fn answer(&self, answer: Option<Answer>) {
        *self.answer.lock().unwrap() = answer;
    }
}

/// Self-signed, for 127.0.0.1, until 2124. Its key is beside it, so it proves nothing.
pub(crate) fn certificate() -> PathBuf {
    folder().join("loopback.pem")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors")
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, upstream: String, answer: Arc<Mutex<Option<Answer>>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (upstream, answer) = (upstream.clone(), answer.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.lock().unwrap().filter(|answer| !answer.only_puts || request.method() == Method::PUT);
            let upstream = upstream.clone();
            async move {
                match answer {
                    None => pass(&upstream, request).await,
                    Some(Answer { silent: true, .. }) => std::future::pending().await,
                    Some(answer) => {
                        let is_head = request.method() == Method::HEAD;
                        let _ = request.collect().await;
                        Ok(fixed(answer, is_head))
                    }
                }
            }
        });
        let (tls, server) = (tls.clone(), hyper::server::conn::http1::Builder::new());
        connections.spawn(async move {
            match tls {
                None => server.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

fn fixed(answer: Answer, is_head: bool) -> Response<Body> {
    let text = match answer.code {
        Some(code) => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>No.</Message>\
             <RequestId>{REQUEST_ID}</RequestId></Error>"
        ),
        None => "<html><body><h1>502 Bad Gateway</h1><p>&nbsp;<br></body></html>".to_owned(),
    };
    let kind = if answer.code.is_some() { "application/xml" } else { "text/html" };
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    response = response.header("content-type", kind);
    if answer.code.is_some() {
        response = response.header("x-amz-request-id", REQUEST_ID);
    }
    if let Some(seconds) = answer.retry_after {
        response = response.header("retry-after", seconds);
    }
    let text = if is_head { Bytes::new() } else { Bytes::from(text) };
    response.body(Full::new(text).map_err(|never| match never {}).boxed()).unwrap()
}

async fn pass(upstream: &str, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(response.map(BodyExt::boxed))
}
