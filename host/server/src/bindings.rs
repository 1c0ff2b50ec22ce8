//! The generated Rust bindings of the maintenance export and the exchange import, and nothing else.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; what it says is documented in the WIT")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "portico:storage/maintained",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "wasi:io": wasmtime_wasi::p2::bindings::io },
});
