//! The Rust form of the world `portico:storage/handler@0.3.0`. This file holds one `generate!` and nothing else.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../../wit/0.3",
    world: "portico:storage/handler",
    generate_all,
    default_bindings_module: "crate::bindings",
});
