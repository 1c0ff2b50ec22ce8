//! Builds the component of the tests, if the feature `p3` is on.

use portico_guest_build::{Build, copy, report, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(if std::env::var_os("CARGO_FEATURE_P3").is_some() { build() } else { Ok(()) })
}

fn build() -> Result<(), String> {
    watch(&["tests/p3/guest", "wit"]);
    let built = Build::for_tests()?.run(&["--package", "portico-test-p3-guest"])?;
    copy(&built.join("portico_test_p3_guest.wasm"), "program.wasm").map(drop)
}
