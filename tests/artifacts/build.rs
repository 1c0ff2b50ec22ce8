//! Builds the portal, a hostile one, the apps for adapters and the examples of the guest SDK, and writes a table of the examples.

use portico_guest_build::{Build, copy, report, table, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/portal", "guest/sdk", "page/dist", "page/plain.html", "tests/adapt", "tests/hostile", "wit"]);
    let mut packages = vec!["--package", "portico-guest", "--examples", "--lib"];
    for package in ["portico-test-blobs", "portico-test-counter", "portico-test-hostile"] {
        packages.extend(["--package", package]);
    }
    let built = Build::for_tests()?.run(&packages)?;
    table("guest/sdk/examples", &built.join("examples"), "examples")?;
    for app in ["blobs", "counter", "hostile"] {
        copy(&built.join(format!("portico_test_{app}.wasm")), &format!("{app}.wasm"))?;
    }
    let shipped = Build::shipped()?.run(&["--package", "portico-portal"])?;
    copy(&shipped.join("portico_portal.wasm"), "portal.wasm").map(drop)
}
