//! Builds the components of the tests, if the feature `p3` is on.

use portico_guest_build::{Build, copy, report, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(if std::env::var_os("CARGO_FEATURE_P3").is_some() { build() } else { Ok(()) })
}

fn build() -> Result<(), String> {
    watch(&["tests/p3/guest", "tests/p3/portal", "wit"]);
    let packages = ["--package", "portico-test-p3-guest", "--package", "portico-test-p3-portal"];
    let built = Build::for_tests()?.run(&packages)?;
    copy(&built.join("portico_test_p3_guest.wasm"), "program.wasm")?;
    copy(&built.join("portico_test_p3_portal.wasm"), "portal.wasm").map(drop)
}
