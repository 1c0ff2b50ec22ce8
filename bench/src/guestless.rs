//! The other side of the comparison with a guest: an HTTP server of the same settings, which pumps a body into the
//! store itself. It knows `PUT /files/{name}` and `DELETE /files/{id}`, and no more.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use portico_bench_harness::Result;
use portico_server::server::limits::HTTP1_BUFFER;
use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{Backend, Error, Expected, FileId, FinalOptions, Scope, Token, put_final, stream::ByteStream};
use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves a store that syncs nothing, until it is killed.
#[tokio::main]
pub(crate) async fn serve(root: &Path) -> Result<()> {
    let options = LocalOptions { durability: Durability::None, ..LocalOptions::default() };
    let store = Arc::new(LocalStore::open(root, options).await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).max_buf_size(HTTP1_BUFFER);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let store = store.clone();
        let service = service_fn(move |request| {
            let store = store.clone();
            async move {
                let (status, text) = match answer(&store, request).await {
                    Ok((status, object)) => (status, object.to_string()),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                };
                let mut response = Response::new(Full::new(Bytes::from(text)));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        let builder = builder.clone();
        tokio::spawn(async move {
            // A connection that fails shows on the client's side.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(store: &LocalStore, request: Request<Incoming>) -> Result<(StatusCode, serde_json::Value)> {
    let scope = Scope::root();
    let id = request.uri().path().trim_start_matches("/files/").to_owned();
    if request.method() == Method::DELETE {
        let key = store.stat_final(&scope, &FileId::parse(&id)?).await?.key;
        store.delete_final(&scope, &key).await?;
        return Ok((StatusCode::NO_CONTENT, serde_json::Value::Null));
    }
    let length = request.headers().get(hyper::header::CONTENT_LENGTH);
    let size = length.and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok());
    let options = FinalOptions { expected: Expected { size, ..Expected::default() }, ..FinalOptions::default() };
    let file = FileId::parse(Token::random()?.as_str())?;
    let receipt = put_final(store, &scope, &file, &mut Body(request.into_body()), options).await?;
    let object = serde_json::json!({ "file_id": file.as_str(), "sha256": receipt.sha256.to_hex() });
    Ok((StatusCode::CREATED, object))
}

struct Body(Incoming);

#[async_trait]
impl ByteStream for Body {
    async fn next(&mut self) -> portico_store::Result<Option<Bytes>> {
        loop {
            match self.0.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(Error::Interrupted { received: 0 }),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => return Ok(Some(chunk)),
                    _ => {}
                },
            }
        }
    }
}
