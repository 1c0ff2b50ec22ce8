//! The Rust form of `portico:conformance` for its host, and nothing else.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; what it says is documented in the WIT")]

wasmtime::component::bindgen!({
    path: ["../../wit", "../../guest/conformance/wit"],
    world: "portico:conformance/imports",
    imports: { default: async | trappable },
    require_store_data_send: true,
    with: { "wasi:io": wasmtime_wasi::p2::bindings::io },
});
