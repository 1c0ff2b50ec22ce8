//! Links the component with a stack of its own measure: a fresh instance for each request should be small, and
//! nothing here recurses deeply.

const STACK_BYTES: usize = 256 << 10;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
