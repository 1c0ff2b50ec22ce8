//! The generated bindings of the adapter's world.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "wit",
    world: "portico:keyvalue-adapter/adapter",
    generate_all,
    export_macro_name: "export_adapter",
});

#[cfg(target_family = "wasm")]
use crate::Adapter;
#[cfg(target_family = "wasm")]
export_adapter!(Adapter with_types_in self);
