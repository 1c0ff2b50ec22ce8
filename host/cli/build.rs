//! Builds the portal, which the program embeds as `OUT_DIR/portal.wasm`.

use portico_guest_build::{Build, copy, report, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/portal", "guest/sdk", "page/dist", "page/plain.html", "wit"]);
    let built = Build::shipped()?.run(&["--package", "portico-portal"])?;
    copy(&built.join("portico_portal.wasm"), "portal.wasm").map(drop)
}
