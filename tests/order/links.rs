//! A filesystem without hard links, as vfat and some of FUSE are: each link fails as it does there.

use std::process::{Command, Stdio};

/// Such a store is refused, with the reason, and nothing is left in it.
pub(crate) fn a_store_without_links_is_refused() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let store = dir.path().join("store");
    for subcommand in ["check", "serve"] {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=linkat", "-e", "inject=linkat:error=EPERM", "--"]);
        command.args([env!("CARGO_BIN_EXE_portico"), subcommand, "--listen", "127.0.0.1:0", "--store"]);
        command.arg(format!("file:{}", store.display())).env_remove("RUST_LOG").stdin(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let words = ["nothing can be stored in", "needs hard links", "final/main", "Operation not permitted"];
        if output.status.code() != Some(1) || out.contains("can be written") || !words.iter().all(|w| err.contains(w)) {
            return Err(format!("{subcommand}: {:?}\n{out}\n{err}", output.status));
        }
        for folder in ["staging", "final/main"] {
            let names = std::fs::read_dir(store.join(folder)).map_err(|error| error.to_string())?.count();
            if names > 0 {
                return Err(format!("{subcommand} leaves {names} files in {folder}"));
            }
        }
    }
    Ok(())
}
