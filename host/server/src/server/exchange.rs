//! One request and its guest.
//!
//! Invariants: a guest is never dropped the moment its client goes, so that what it was doing settles; a guest that
//! fails before its response has begun is a problem with the id of the request, one that fails afterwards a response
//! that is cut off; why it failed stands in the log.

use super::access::Access;
use super::body::{GuestBody, RequestBody, ResponseBody};
use super::flow::Flow;
use super::limits::SETTLE;
use super::problem::{busy, problem};
use super::state::State;
use crate::runtime::{GuestError, Runtime};
use http::{Request, Response, StatusCode, header};
use portico_store::chain;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// What a guest gives as the head of its response.
type Answer = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Runs a guest for a request, and answers when it has given the head of its response.
pub(super) async fn run(
    state: &Arc<State>,
    id: Arc<str>,
    request: Request<RequestBody>,
    flow: Arc<Flow>,
    permit: OwnedSemaphorePermit,
    mut access: Access,
) -> Response<ResponseBody> {
    let (answer, answered) = oneshot::channel();
    let (presence, departed) = oneshot::channel();
    let (outcome, ended) = oneshot::channel();
    let task = Task { state: state.clone(), id: id.clone(), flow: flow.clone(), answer, departed, outcome, permit };
    let task = tokio::spawn(task.run(request));
    let response = match answered.await {
        Ok(Ok(response)) => {
            access.answered(response.status());
            let announced = response.headers().get(header::CONTENT_LENGTH);
            let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
            let body = |body| GuestBody::new(body, announced, flow, ended, presence, &state.settings);
            return response.map(|content| ResponseBody::guest(body(content), access));
        }
        Ok(Err(code)) => {
            state.metrics.no_answer();
            tracing::error!(request = &*id, ?code, "the guest answered with an error in place of a response");
            problem(StatusCode::BAD_GATEWAY, "The portal could not answer this request.", &id)
        }
        Err(_) => match task.await {
            Ok(Some(GuestError::NoSlot(_))) => busy("Too many requests are running.", &id),
            Ok(Some(GuestError::Request(_))) => problem(StatusCode::BAD_REQUEST, "The request is malformed.", &id),
            Ok(Some(GuestError::Deadline(_))) => {
                problem(StatusCode::INTERNAL_SERVER_ERROR, "The portal took too much processor time.", &id)
            }
            other => {
                if matches!(other, Ok(None)) {
                    state.metrics.no_answer();
                    tracing::error!(request = &*id, "the guest returned without an answer");
                }
                problem(StatusCode::INTERNAL_SERVER_ERROR, "The portal failed to answer this request.", &id)
            }
        },
    };
    access.answered(response.status());
    response.map(|body| ResponseBody::host(body, access))
}

/// What the task of a guest owns. The guest is dropped before its permit.
struct Task {
    state: Arc<State>,
    id: Arc<str>,
    flow: Arc<Flow>,
    answer: oneshot::Sender<Answer>,
    /// Closes when the exchange is over.
    departed: oneshot::Receiver<()>,
    /// Gets a value if the guest returns cleanly.
    outcome: oneshot::Sender<()>,
    permit: OwnedSemaphorePermit,
}

impl Task {
    /// Runs the guest to its end; why it failed, if it did.
    async fn run(self, request: Request<RequestBody>) -> Option<GuestError> {
        let Task { state, id, flow, answer, departed, outcome, permit } = self;
        let runtime: &Runtime = &state.runtime;
        let result = {
            let mut guest = std::pin::pin!(runtime.serve(&id, flow.moved.clone(), request, answer));
            tokio::select! {
                biased;
                result = &mut guest => result,
                _ = departed => tokio::time::timeout(SETTLE, guest).await.unwrap_or(Err(GuestError::Dropped)),
            }
        };
        drop(permit);
        match result {
            Ok(()) => {
                // Nobody may be there any more to hear it.
                let _ = outcome.send(());
                None
            }
            Err(error) => {
                state.metrics.failed(&error);
                log(&id, &error);
                Some(error)
            }
        }
    }
}

fn log(id: &str, error: &GuestError) {
    let cause = chain(error);
    match error {
        GuestError::NoSlot(_) | GuestError::Request(_) | GuestError::Dropped => {
            tracing::warn!(request = id, error = cause, "guest not finished");
        }
        _ => tracing::error!(request = id, error = cause, "guest failed"),
    }
}
