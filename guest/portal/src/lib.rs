//! The upload portal: all upload logic of Portico, as a guest component. It answers HTTP requests by means of the
//! store that its host gives it, and has nothing else: no path, no credential, no socket.
//!
//! This file is glue. `policy` holds the rules, pure; `http` the protocols, one file each.
//!
//! Invariants: content passes from body to store and from store to body by the host's hand, and never enters this
//! guest's memory; one instance answers one request and keeps nothing.

mod http;
mod limits;
mod policy;

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
