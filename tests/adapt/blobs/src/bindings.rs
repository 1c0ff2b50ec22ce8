//! The generated bindings of `wasi:blobstore`, as its package has it: over `wasi:io` 0.2.1. Streams are those of `wasip2`.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "wit",
    world: "test:blobs/app",
    with: {
        "wasi:io/error@0.2.1": wasip2::io::error,
        "wasi:io/poll@0.2.1": wasip2::io::poll,
        "wasi:io/streams@0.2.1": wasip2::io::streams,
    },
    generate_all,
});

#[cfg(target_family = "wasm")]
use crate::App;
#[cfg(target_family = "wasm")]
wasip2::http::proxy::export!(App);
