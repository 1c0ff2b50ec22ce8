//! The upload portal: all upload logic of Portico, as a guest component. It answers HTTP requests by means of the
//! store that its host gives it, and has nothing else: no path, no credential, no socket.
//!
//! This file is glue. `policy` and `session` hold the rules, pure; `engine` does with sessions what every protocol does;
//! `http` has the protocols, one file each; `maintenance` is what happens without a client.
//!
//! Invariants: content passes from body to store and from store to body by the host's hand, and never enters this
//! guest's memory; one instance answers one request and keeps nothing.

mod clock;
mod engine;
mod http;
mod idempotency;
mod limits;
mod maintenance;
mod policy;
mod session;
mod settings;

use portico_guest::bindings::{
    exports::wasi::http::incoming_handler::Guest,
    wasi::http::types::{IncomingRequest, ResponseOutparam},
};

/// The component.
#[derive(Debug)]
pub struct Portal;

impl Guest for Portal {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        http::answer(request, out);
    }
}

#[cfg(target_family = "wasm")]
portico_guest::export_portal!(Portal);
