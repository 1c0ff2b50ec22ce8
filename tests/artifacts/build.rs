//! Builds the portal, a hostile one and the examples of the guest SDK, and writes a table of the examples.

use portico_guest_build::{Build, copy, report, table, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/portal", "guest/sdk", "page/dist", "page/plain.html", "tests/hostile", "wit"]);
    let packages = ["--package", "portico-guest", "--examples", "--package", "portico-test-hostile", "--lib"];
    let built = Build::for_tests()?.run(&packages)?;
    table("guest/sdk/examples", &built.join("examples"), "examples")?;
    copy(&built.join("portico_test_hostile.wasm"), "hostile.wasm")?;
    let shipped = Build::shipped()?.run(&["--package", "portico-portal"])?;
    copy(&shipped.join("portico_portal.wasm"), "portal.wasm").map(drop)
}
