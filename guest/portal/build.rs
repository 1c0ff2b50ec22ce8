//! Links the component with a small stack, and lists the files of the page for `http/page.rs`.
//!
//! The stack is small because each request starts a fresh instance, and nothing in the portal recurses deeply.
//!
//! The page is what `make page` has put into `page/dist`. Without it the portal serves `page/plain.html`, a form that needs
//! no Node to build and no JavaScript to work. This script is the only place that chooses between the two.
#![allow(clippy::print_stdout, reason = "cargo reads the standard output of build scripts")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

const STACK_BYTES: usize = 256 << 10;

/// The page's own file, which is served at `/`.
const INDEX: &str = "index.html";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
    match list_page() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error=cannot embed the page: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes `OUT_DIR/page.rs`: a slice of `Asset`.
fn list_page() -> io::Result<()> {
    let variable = |name| env::var(name).map_err(io::Error::other);
    let page = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../page").canonicalize()?;
    let (built, plain) = (page.join("dist"), page.join("plain.html"));
    for path in [&built, &plain] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let mut list = String::from("&[\n");
    if built.join(INDEX).exists() {
        let mut files = fs::read_dir(&built)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        files.sort();
        for file in files.iter().filter(|file| is_plain(file)) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let gzip = built.join(format!("{name}.gz"));
            let gzip = gzip.exists().then_some(gzip);
            list += &asset(&name, file, gzip.as_deref());
        }
    } else {
        list += &asset(INDEX, &plain, None);
    }
    list += "]\n";
    fs::write(Path::new(&variable("OUT_DIR")?).join("page.rs"), list)
}

/// Reports whether a file is served under its own name: neither hidden nor the compressed form of another.
fn is_plain(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && file.extension().is_none_or(|extension| extension != "gz")
}

fn asset(name: &str, plain: &Path, gzip: Option<&Path>) -> String {
    let gzip = gzip.map_or("None".to_owned(), |path| format!("Some(include_bytes!({path:?}))"));
    format!("    Asset {{ name: {name:?}, plain: include_bytes!({plain:?}), gzip: {gzip} }},\n")
}
