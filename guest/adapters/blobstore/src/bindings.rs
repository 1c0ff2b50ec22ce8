//! The generated bindings of the adapter's world. Streams and the types of storage are those of the guest SDK.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "portico:blobstore-adapter/adapter",
    with: {
        "wasi:io/error@0.2.12": portico_guest::bindings::wasi::io::error,
        "wasi:io/poll@0.2.12": portico_guest::bindings::wasi::io::poll,
        "wasi:io/streams@0.2.12": portico_guest::bindings::wasi::io::streams,
        "portico:storage/storage@0.2.0": portico_guest::bindings::portico::storage::storage,
    },
    generate_all,
    export_macro_name: "export_adapter",
});

#[cfg(target_family = "wasm")]
use crate::Adapter;
#[cfg(target_family = "wasm")]
export_adapter!(Adapter with_types_in self);
