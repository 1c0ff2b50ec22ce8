//! Runs a guest for one request.
//!
//! Invariants: a guest is not dropped at the moment its client goes, but gets time to finish its work; a guest that fails
//! before its response begins yields a problem with the request's id, one that fails later a response that is cut off; the
//! log has the cause of each failure.

use super::access::Access;
use super::body::{GuestBody, RequestBody, ResponseBody};
use super::flow::Flow;
use super::limits::SETTLE;
use super::problem::{busy, problem};
use super::state::ServerState;
use crate::runtime::GuestError;
use http::{Request, Response, StatusCode, header};
use portico_store::chain;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// The head of a guest's response, or the guest's error code.
type Answer = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Runs a guest for a request. Returns when the guest has set the head of its response.
pub(super) async fn run(
    state: &Arc<ServerState>,
    id: Arc<str>,
    request: Request<RequestBody>,
    flow: Arc<Flow>,
    permits: Permits,
    mut access: Access,
) -> Response<ResponseBody> {
    let label = state.portals.at(permits.portal).label();
    let (answer, answered) = oneshot::channel();
    let (presence, departed) = oneshot::channel();
    let (outcome, ended) = oneshot::channel();
    let task =
        GuestTask { state: state.clone(), id: id.clone(), flow: flow.clone(), answer, departed, outcome, permits };
    let task = tokio::spawn(task.run(request));
    let failure = match answered.await {
        Ok(Ok(response)) => {
            access.answered(response.status());
            let announced = response.headers().get(header::CONTENT_LENGTH);
            let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
            let body = |body| GuestBody::new(body, announced, flow, ended, presence, &state.settings);
            return response.map(|content| ResponseBody::guest(body(content), access));
        }
        Ok(Err(code)) => {
            state.metrics.no_answer(label);
            tracing::error!(request = &*id, ?code, "the guest returned an error code instead of a response");
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
                    state.metrics.no_answer(label);
                    tracing::error!(request = &*id, "the guest returned without a response");
                }
                problem(StatusCode::INTERNAL_SERVER_ERROR, "The portal failed to answer this request.", &id)
            }
        },
    };
    ResponseBody::host(failure, access)
}

/// The right to run a guest.
pub(super) struct Permits {
    /// The place of the portal.
    pub(super) portal: usize,
    /// One of the server's.
    pub(super) of_server: OwnedSemaphorePermit,
    /// One of the portal's.
    pub(super) of_portal: OwnedSemaphorePermit,
}

/// The task that runs a guest. Drops the guest before its permit.
struct GuestTask {
    state: Arc<ServerState>,
    id: Arc<str>,
    flow: Arc<Flow>,
    answer: oneshot::Sender<Answer>,
    /// Closes when the exchange is over.
    departed: oneshot::Receiver<()>,
    /// Receives a value if the guest returns cleanly.
    outcome: oneshot::Sender<()>,
    permits: Permits,
}

impl GuestTask {
    /// Runs the guest to its end. Returns the error if the guest failed.
    async fn run(self, request: Request<RequestBody>) -> Option<GuestError> {
        let GuestTask { state, id, flow, answer, departed, outcome, permits } = self;
        let portal = state.portals.at(permits.portal);
        let runtime = portal.runtime();
        let result = {
            let mut guest =
                std::pin::pin!(runtime.serve(&id, flow.moved.clone(), flow.interim.clone(), request, answer));
            tokio::select! {
                biased;
                result = &mut guest => result,
                _ = departed => tokio::time::timeout(SETTLE, guest).await.unwrap_or(Err(GuestError::Dropped)),
            }
        };
        // A replaced component goes with its last guest.
        drop(runtime);
        drop((permits.of_portal, permits.of_server));
        match result {
            Ok(()) => {
                // The receiver is gone if the exchange is over.
                let _ = outcome.send(());
                None
            }
            Err(error) => {
                state.metrics.failed(&error, portal.label());
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
            tracing::warn!(request = id, error = cause, "the guest did not finish");
        }
        _ => tracing::error!(request = id, error = cause, "the guest failed"),
    }
}
