//! The Rust form of the WIT, and nothing else: the only `generate!` of the guest side.
//!
//! It holds the imports of the world `portal`, so that `wasi:http` and `portico:storage` speak of the same
//! streams. A guest imports only what it uses; a guest that exports nothing of `wasi:http` never says so. A crate
//! that generates bindings of a world of its own maps the shared interfaces to these with
//! `with: { "wasi:io/streams@0.2.12": portico_guest::bindings::wasi::io::streams }`.
#![allow(unsafe_code, missing_docs, unreachable_pub, rustdoc::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "portico:storage/portal",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_portal",
    default_bindings_module: "portico_guest::bindings",
});
