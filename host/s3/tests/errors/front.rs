//! A server in front of another one, which passes requests on, or answers all of them the same.

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const REQUEST_ID: &str = "REQUEST-0123456789";

/// What is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The code of an error of S3; absent: a page that only people can read.
    pub(crate) code: Option<&'static str>,
    pub(crate) retry_after: Option<u32>,
    /// Nothing at all is answered.
    pub(crate) silent: bool,
    /// Everything but `PUT` is passed on.
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
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = Arc::default();
        let upstream = upstream.strip_prefix("http://").expect("without TLS").to_owned();
        let task = tokio::spawn(serve(listener, upstream, Arc::clone(&answer)));
        Front { endpoint, answer, task }
    }

    /// Answers this from now on; `None`: what the other server says.
    pub(crate) fn answer(&self, answer: Option<Answer>) {
        *self.answer.lock().unwrap() = answer;
    }
}

async fn serve(listener: TcpListener, upstream: String, answer: Arc<Mutex<Option<Answer>>>) {
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
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
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
