//! The bindings of the contract and of the fixture, as any embedder generates them.

#![allow(unreachable_pub, clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: ["../../wit", "../../guest/conformance/wit"],
    inline: "
        package second:host;
        world imports {
            import portico:storage/storage@0.2.0;
            import portico:conformance/fixture@0.1.0;
        }
    ",
    world: "second:host/imports",
    imports: { default: async | trappable },
    require_store_data_send: true,
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "portico:storage/storage.store": crate::storage::Handle,
        "portico:storage/storage.writer": crate::writer::MemoryWriter,
        "portico:storage/storage.final-reader": crate::memory::Object,
    },
    trappable_error_type: { "portico:storage/storage.error" => crate::storage::Failure },
});

pub(crate) use portico::conformance::fixture;
pub(crate) use portico::storage::storage as wit;
