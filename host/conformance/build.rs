//! Builds the programs of the suite, and writes their table as `OUT_DIR/programs.rs`.

use portico_guest_build::{Build, report, table, watch};
use std::process::ExitCode;

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<(), String> {
    watch(&["guest/sdk", "guest/conformance", "wit"]);
    let built = Build::for_tests()?.run(&["--package", "portico-guest-conformance", "--bins"])?;
    table("guest/conformance/src/bin", &built, "programs")
}
