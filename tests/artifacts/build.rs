//! Builds the hostile portal and the examples of the guest SDK, and writes a table of the examples.

use portico_guest_build::{Build, copy, report, table, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/sdk", "tests/hostile", "wit"]);
    let packages = ["--package", "portico-guest", "--examples", "--package", "portico-test-hostile", "--lib"];
    let built = Build::for_tests()?.run(&packages)?;
    table("guest/sdk/examples", &built.join("examples"), "examples")?;
    copy(&built.join("portico_test_hostile.wasm"), "hostile.wasm").map(drop)
}
