//! The Rust form of `portico:storage@0.3.0`. This file holds one `bindgen!` and nothing else.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; what it says is documented in the WIT")]

wasmtime::component::bindgen!({
    path: "wit/0.3",
    world: "portico:storage/imports",
    imports: { default: trappable },
    require_store_data_send: true,
    with: {
        "portico:storage/storage.final-reader": crate::storage::reader::FinalReader,
        "portico:storage/storage.store": crate::storage::Store,
        "portico:storage/storage.writer": crate::streams::GuestWriter,
    },
    trappable_error_type: {
        "portico:storage/storage.error" => crate::storage::Failure,
    },
});
