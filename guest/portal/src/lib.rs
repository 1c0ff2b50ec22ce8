//! The upload portal: all upload logic of Portico, as a guest component. It serves HTTP requests from the store that
//! its host grants: no path, no credential, no socket.
//!
//! `policy` and `session` hold the rules as pure functions. `engine` has the operations on sessions that all protocols
//! share, `ending` their ends. `http` has the protocols, one file each. `maintenance` is the background work.
//!
//! Invariants: the host moves content between body and store, and no byte of it enters this guest's memory, except that
//! of forms and ZIP archives, piece by piece: only a parser finds the end of a file in a form, and only a reader its
//! CRC-32. One instance serves one request and keeps no state.

mod appends;
mod concatenation;
mod ending;
mod engine;
mod http;
mod idempotency;
mod limits;
mod maintenance;
mod policy;
mod refusal;
mod session;
mod settings;
mod times;

pub use http::answer;

/// The component: an HTTP handler and background maintenance.
#[derive(Debug)]
pub struct Portal;

#[cfg(target_family = "wasm")]
impl portico_guest::Handler for Portal {
    fn handle(
        request: portico_guest::bindings::wasi::http::types::IncomingRequest,
        out: portico_guest::bindings::wasi::http::types::ResponseOutparam,
    ) {
        let mut request = portico_guest::http::Request::from(request);
        let response = http::answer(&mut request);
        portico_guest::http::send(&request, response, out);
    }
}

#[cfg(target_family = "wasm")]
portico_guest::export_handler!(Portal);
#[cfg(target_family = "wasm")]
portico_guest::export_maintenance!(Portal);
