//! The generated bindings of the WIT. With `handler.rs`, this file has the only `generate!` of the SDK and the portal.
//!
//! The bindings are those of the world `portal` without the export of `wasi:http`, so that `wasi:http` and `portico:storage`
//! share their stream types. A guest imports only the functions that it calls. A crate with bindings of another world maps
//! the shared interfaces with `with: { "wasi:io/streams@0.2.12": portico_guest::bindings::wasi::io::streams }`.
#![allow(unsafe_code, missing_docs, unreachable_pub, rustdoc::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package portico:sdk;

        world guest {
            include wasi:http/imports@0.2.12;
            include portico:storage/maintained@0.2.0;
            import wasi:config/store@0.2.0-rc.1;
        }
    ",
    world: "portico:sdk/guest",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_maintenance",
    default_bindings_module: "portico_guest::bindings",
});
