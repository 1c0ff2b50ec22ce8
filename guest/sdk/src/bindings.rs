//! The generated bindings of the WIT. This file has the only `generate!` of the SDK and the portal.
//!
//! The bindings are those of the world `portal`, so that `wasi:http` and `portico:storage` share their stream types. A
//! guest imports only the functions that it calls. A crate with bindings of another world maps the shared interfaces
//! with `with: { "wasi:io/streams@0.2.12": portico_guest::bindings::wasi::io::streams }`.
#![allow(unsafe_code, missing_docs, unreachable_pub, rustdoc::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "wit",
    world: "portico:storage/portal",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_portal",
    default_bindings_module: "portico_guest::bindings",
});
