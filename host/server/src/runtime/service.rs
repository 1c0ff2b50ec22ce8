//! Runs a guest of WASI 0.3 for one request.
//!
//! Invariants: the guest runs until the body of its response has ended and its calls have returned; a body whose guest reports
//! an error ends with that error. Futures beside a guest may wait while the guest computes, so deadlines are enforced outside.

use super::deadline::Deadline;
use super::error::GuestError;
use super::guest::Guest;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{Error, WasiHttpView};

/// Serves a request, as [`super::Runtime::serve`] does.
pub(super) async fn serve<B>(
    mut store: Store<Guest>,
    service: &Service,
    deadline: &Deadline,
    request: http::Request<B>,
    answer: oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCode>>,
) -> Result<(), GuestError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    let (request, received) = Request::from_http(store.data_mut().http().hooks, with_authority(request));
    let run = store.run_concurrent(async |accessor| -> wasmtime::Result<()> {
        match service.handle(accessor, request).await? {
            Ok(response) => {
                let (reading, read) = oneshot::channel();
                let response = accessor.with(|access| response.into_http(access, received))?;
                let response = response.map(|body| Watched { body, reading: Some(reading) }.boxed_unsync());
                // The client may have gone. The body is dropped then, which ends the wait.
                let _ = answer.send(Ok(response));
                let _ = read.await;
            }
            Err(code) => {
                let _ = answer.send(Err(ErrorCode::InternalError(Some(format!("{code:?}")))));
            }
        }
        // What the guest does after its response.
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        Ok(())
    });
    deadline.run(run).await.and_then(|served| served).map_err(GuestError::of_call)
}

/// Takes the authority of a request from its `Host`, where its target has none.
fn with_authority<B>(mut request: http::Request<B>) -> http::Request<B> {
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    let mut target = request.uri().clone().into_parts();
    if target.authority.is_none() && host.is_some() {
        target.authority = host;
        target.scheme = Some(http::uri::Scheme::HTTP);
        // A target such as `*` has no authority.
        if let Ok(target) = http::Uri::from_parts(target) {
            *request.uri_mut() = target;
        }
    }
    request
}

/// A response body that drops `reading` at its end, its failure, or with itself.
struct Watched<B> {
    body: B,
    reading: Option<oneshot::Sender<()>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.reading = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
