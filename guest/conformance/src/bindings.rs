//! The generated bindings of `portico:conformance`.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated code")]

wit_bindgen::generate!({
    path: ["../../wit", "wit"],
    world: "portico:conformance/imports",
    with: {
        "wasi:io/error@0.2.12": portico_guest::bindings::wasi::io::error,
        "wasi:io/poll@0.2.12": portico_guest::bindings::wasi::io::poll,
        "wasi:io/streams@0.2.12": portico_guest::bindings::wasi::io::streams,
    },
});
