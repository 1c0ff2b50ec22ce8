//! Builds the portal and the adapters, which the program embeds as `OUT_DIR/portal.wasm` and `OUT_DIR/ADAPTER.wasm`.

use portico_guest_build::{Build, copy, report, watch};
use std::process::ExitCode;

/// The adapters. Their packages are `portico-adapter-NAME`.
const ADAPTERS: [&str; 3] = ["blobstore", "keyvalue", "logging"];

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/adapters", "guest/portal", "guest/sdk", "page/dist", "page/plain.html", "wit"]);
    let packages = ADAPTERS.map(|name| format!("portico-adapter-{name}"));
    let mut arguments = vec!["--package", "portico-portal"];
    arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
    let built = Build::shipped()?.run(&arguments)?;
    for name in ADAPTERS {
        copy(&built.join(format!("portico_adapter_{name}.wasm")), &format!("{name}.wasm"))?;
    }
    copy(&built.join("portico_portal.wasm"), "portal.wasm").map(drop)
}
