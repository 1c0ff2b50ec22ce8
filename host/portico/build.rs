//! Builds the portal for wasm32-wasip2 and hands it to the server as `OUT_DIR/portal.wasm`. Without the feature
//! `server` there is nothing to do, and no WebAssembly target is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-wasip2";

/// What the cargo that runs this script, or clippy around it, sets for itself and must not reach the inner one.
const FOREIGN: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
];

fn main() -> ExitCode {
    if std::env::var_os("CARGO_FEATURE_SERVER").is_none() {
        println!("cargo::rerun-if-changed=build.rs");
        return ExitCode::SUCCESS;
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..");
    for input in ["Cargo.toml", "Cargo.lock", "guest/portal", "guest/sdk", "wit"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    find_target()?;
    // A target folder of its own beside the outer profiles: the outer cargo holds the lock of its own, and both
    // profiles of the host share one portal. OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let folder = out.ancestors().nth(4).ok_or("OUT_DIR has no target folder above it")?.join("guest");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--package", "portico-portal", "--profile", "guest", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(root.join("Cargo.toml")).arg("--target-dir").arg(&folder);
    if root.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|error| format!("cannot run cargo for the portal: {error}"))?;
    if !status.success() {
        return Err(format!("the portal (guest/portal) does not build; `{cargo:?}` says why, see above"));
    }
    let built = folder.join(TARGET).join("guest/portico_portal.wasm");
    std::fs::copy(&built, out.join("portal.wasm"))
        .map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(())
}

/// Says what to do where the target is missing; the compiler's own words are about a crate `core`.
fn find_target() -> Result<(), String> {
    let rustc = Command::new(variable("RUSTC")?).args(["--print", "sysroot"]).output();
    let rustc = rustc.map_err(|error| format!("cannot run rustc: {error}"))?;
    let sysroot = String::from_utf8_lossy(&rustc.stdout);
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the portal needs the target {TARGET}: `rustup target add {TARGET}`, or build without the feature `server`"
    ))
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
