//! Compiles the programs of `tests/programs` and the examples of the guest SDK to components, and writes tables of them.
//!
//! The target folder is one of its own below the outer one, because the outer cargo holds the lock of that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// What the cargo that runs this script, or clippy around it, sets for the host, and what does not hold for the guest.
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

fn main() {
    let here = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(var("OUT_DIR"));
    let workspace = here.ancestors().nth(2).expect("a crate two folders below the workspace");
    for watched in ["Cargo.toml", "Cargo.lock", "guest/sdk", "tests/hostile", "tests/programs", "wit"] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let target = out.ancestors().nth(4).expect("a target folder").join("guest-tests");
    compile(workspace, &target);

    let built = target.join(TARGET).join("debug");
    table(&workspace.join("tests/programs/src/bin"), &built, &out, "programs");
    table(&workspace.join("guest/sdk/examples"), &built.join("examples"), &out, "examples");
    copy(&built.join("portico_test_hostile.wasm"), &out.join("hostile.wasm"));
}

/// Writes the table of a folder of programs.
fn table(sources: &Path, built: &Path, out: &Path, name: &str) {
    let mut table = String::from("&[\n");
    for name in programs(sources) {
        let component = out.join(&name).with_extension("wasm");
        copy(&built.join(&name).with_extension("wasm"), &component);
        table += &format!("    Program {{ name: {name:?}, component: include_bytes!({component:?}) }},\n");
    }
    table += "]\n";
    fs::write(out.join(name).with_extension("rs"), table).expect("a writable OUT_DIR");
}

fn compile(workspace: &Path, target: &Path) {
    let mut cargo = Command::new(var("CARGO"));
    cargo.args(["build", "--package", "portico-test-programs", "--bins", "--package", "portico-guest", "--examples"]);
    cargo.args(["--package", "portico-test-hostile", "--lib"]);
    cargo.args(["--locked", "--target", TARGET, "--target-dir"]).arg(target).current_dir(workspace);
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    // They are built once and run once: small, so that they are quick to compile a second time, to machine code.
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "s").env("CARGO_PROFILE_DEV_STRIP", "true").env("CARGO_INCREMENTAL", "0");
    let status = cargo.status().expect("cargo, which started this");
    assert!(
        status.success(),
        "the test programs do not compile ({status}); `rustup target add {TARGET}` if that is it"
    );
}

/// The names of the programs, in order.
fn programs(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder of the programs");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no programs in {}", folder.display());
    names
}

/// Copies what has changed, so that nothing else is compiled again.
fn copy(from: &Path, to: &Path) {
    let new = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    if fs::read(to).ok().as_ref() != Some(&new) {
        fs::write(to, new).expect("a writable OUT_DIR");
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
