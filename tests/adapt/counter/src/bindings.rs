//! The generated bindings of `wasi:keyvalue`, in both drafts.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({ path: "wit", world: "test:counter/app", generate_all });

#[cfg(target_family = "wasm")]
use crate::App;
#[cfg(target_family = "wasm")]
wasip2::http::proxy::export!(App);
