//! Compiles guests of this workspace to components, for the build scripts of the crates that embed them.
//!
//! Invariant: the build of the guests does not depend on the profile, flags or wrapper of the outer cargo. Its target folder
//! lies beside the outer profiles, because the outer cargo holds the lock of its own.
#![allow(clippy::print_stdout, reason = "cargo reads the standard output of build scripts")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The target that components are compiled for.
const TARGET: &str = "wasm32-wasip2";

/// Variables that the outer cargo or clippy sets for its own build. They must not reach the inner cargo.
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

/// A build of guests.
pub struct Build {
    cargo: Command,
    target: PathBuf,
    profile: &'static str,
}

impl Build {
    /// Prepares a build with the profile `guest`, which the portal ships with. Its target folder is `guest`.
    ///
    /// # Errors
    /// A text for a person, as in every function here.
    pub fn shipped() -> Result<Build, String> {
        let mut build = Build::new("guest", "guest")?;
        build.cargo.args(["--profile", "guest"]);
        Ok(build)
    }

    /// Prepares a build for tests, whose target folder is `guest-tests`. It has no debug information, so that components
    /// compile quickly to machine code.
    ///
    /// # Errors
    /// As [`Build::shipped`].
    pub fn for_tests() -> Result<Build, String> {
        let mut build = Build::new("guest-tests", "debug")?;
        let settings = [("PROFILE_DEV_OPT_LEVEL", "s"), ("PROFILE_DEV_STRIP", "true"), ("INCREMENTAL", "0")];
        for (name, value) in settings {
            build.cargo.env(format!("CARGO_{name}"), value);
        }
        Ok(build)
    }

    fn new(folder: &str, profile: &'static str) -> Result<Build, String> {
        find_target()?;
        // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
        let out = out_dir()?;
        let target = out.ancestors().nth(4).ok_or("OUT_DIR has no target folder above it")?.join(folder);
        let mut cargo = Command::new(variable("CARGO")?);
        cargo.args(["build", "--target", TARGET, "--target-dir"]).arg(&target).current_dir(workspace());
        if workspace().join("Cargo.lock").exists() {
            cargo.arg("--locked");
        }
        for name in FOREIGN {
            cargo.env_remove(name);
        }
        Ok(Build { cargo, target, profile })
    }

    /// Compiles the packages that `arguments` select, such as `["--package", "portico-portal"]`. Returns the components' folder.
    ///
    /// # Errors
    /// As [`Build::shipped`].
    pub fn run(mut self, arguments: &[&str]) -> Result<PathBuf, String> {
        self.cargo.args(arguments);
        let status = self.cargo.status().map_err(|error| format!("cannot run cargo for the guests: {error}"))?;
        if !status.success() {
            return Err(format!("`{:?}` failed to build the guests; see its output above", self.cargo));
        }
        Ok(self.target.join(TARGET).join(self.profile))
    }
}

/// Returns the root of this workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Makes cargo rerun the build script when one of these paths of the workspace, or a manifest, changes.
pub fn watch(paths: &[&str]) {
    for path in ["Cargo.toml", "Cargo.lock", "guest/build"].iter().chain(paths) {
        println!("cargo::rerun-if-changed={}", workspace().join(path).display());
    }
}

/// Copies a component into `OUT_DIR` under a new name. Leaves an identical file alone, so that nothing is recompiled.
///
/// # Errors
/// As [`Build::shipped`].
pub fn copy(from: &Path, name: &str) -> Result<PathBuf, String> {
    let to = out_dir()?.join(name);
    let new = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    if fs::read(&to).ok().as_ref() != Some(&new) {
        fs::write(&to, new).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(to)
}

/// Writes `OUT_DIR/NAME.rs`: a slice of (program name, component bytes). The programs are the Rust files in `sources`, so none
/// can be left out.
///
/// # Errors
/// As [`Build::shipped`].
pub fn table(sources: &str, built: &Path, name: &str) -> Result<(), String> {
    let sources = workspace().join(sources);
    let failed = |error| format!("{}: {error}", sources.display());
    let mut programs = Vec::new();
    for entry in fs::read_dir(&sources).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            programs.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    programs.sort();
    if programs.is_empty() {
        return Err(format!("no programs in {}", sources.display()));
    }
    let mut table = String::from("&[\n");
    for program in programs {
        let file = format!("{program}.wasm");
        let component = copy(&built.join(&file), &file)?;
        table += &format!("    ({program:?}, include_bytes!({component:?})),\n");
    }
    table += "]\n";
    let path = out_dir()?.join(name).with_extension("rs");
    fs::write(&path, table).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints an error as the build script's own, and returns the script's exit code.
#[must_use]
pub fn report(result: Result<(), String>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Checks that the target is installed. Without this the compiler reports a missing crate `core`.
fn find_target() -> Result<(), String> {
    let rustc = Command::new(variable("RUSTC")?).args(["--print", "sysroot"]).output();
    let rustc = rustc.map_err(|error| format!("cannot run rustc: {error}"))?;
    let sysroot = String::from_utf8_lossy(&rustc.stdout);
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    Err(format!("guests need the target {TARGET}: `rustup target add {TARGET}`"))
}

fn out_dir() -> Result<PathBuf, String> {
    variable("OUT_DIR").map(PathBuf::from)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
