//! The Rust form of the world `program`. This file holds one `generate!` and nothing else.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: ["../../../wit", "../../../wit/0.3", "wit"],
    world: "portico:test-p3/program",
    generate_all,
    default_bindings_module: "crate::bindings",
});
