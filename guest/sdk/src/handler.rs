//! The generated bindings of the export of a portal, `wasi:http/incoming-handler`. They are apart from those of maintenance,
//! so that a portal need not have both.
#![allow(unsafe_code, missing_docs, unreachable_pub, rustdoc::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package portico:sdk;

        world handler {
            export wasi:http/incoming-handler@0.2.12;
        }
    ",
    world: "portico:sdk/handler",
    with: {
        "wasi:clocks/monotonic-clock@0.2.12": crate::bindings::wasi::clocks::monotonic_clock,
        "wasi:http/types@0.2.12": crate::bindings::wasi::http::types,
        "wasi:io/error@0.2.12": crate::bindings::wasi::io::error,
        "wasi:io/poll@0.2.12": crate::bindings::wasi::io::poll,
        "wasi:io/streams@0.2.12": crate::bindings::wasi::io::streams,
    },
    pub_export_macro: true,
    export_macro_name: "export_handler",
    default_bindings_module: "portico_guest::handler",
});
