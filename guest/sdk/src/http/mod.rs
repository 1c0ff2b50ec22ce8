//! HTTP for portals: requests, responses, problems, and the rules of RFC 9110 and its companions.
//!
//! A portal is a function from a [`Request`] to a [`Response`] or a [`Problem`]. The `?` operator makes problems of
//! storage errors, and [`portal!`](crate::portal) makes a component of the function.
//!
//! [`upload`], [`download`] and [`delete`] do what nearly every portal does with a file. The modules are the rules behind
//! them, as pure functions of texts and numbers.

mod body;
pub mod conditions;
pub mod digests;
pub mod disposition;
mod files;
pub mod media_type;
mod problem;
pub mod ranges;
mod request;
mod response;
#[cfg(target_family = "wasm")]
mod send;

pub use body::is_stalled;
pub use files::{delete, download, upload};
pub use problem::{Kind, Problem};
pub use request::Request;
pub use response::Response;
#[cfg(not(target_family = "wasm"))]
pub(crate) use response::{Body, Maker};
#[cfg(target_family = "wasm")]
pub use send::send;

#[cfg(target_family = "wasm")]
use crate::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

/// Serves a request of the host with a handler. [`portal!`](crate::portal) calls this function.
#[cfg(target_family = "wasm")]
pub fn serve(
    request: IncomingRequest,
    out: ResponseOutparam,
    handler: impl FnOnce(&Request) -> Result<Response, Problem>,
) {
    let request = Request::from(request);
    send(&request, answer(&request, handler), out);
}

/// Calls a handler, and makes a response of its problem.
pub(crate) fn answer(request: &Request, handler: impl FnOnce(&Request) -> Result<Response, Problem>) -> Response {
    handler(request).unwrap_or_else(|problem| problem.request_id(request.id()).into())
}
