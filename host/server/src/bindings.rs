//! The Rust form of what the server calls in a portal. This file holds one `bindgen!` and nothing else.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; what it says is documented in the WIT")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "portico:storage/maintained",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "wasi:io": wasmtime_wasi::p2::bindings::io },
});
