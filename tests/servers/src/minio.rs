//! MinIO, built by `make` where Go is.

use crate::access::Access;
use crate::process::{Missing, Process, Shared, find, free_addresses};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The program, or what is missing.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_MINIO", "minio/minio")
}

/// Starts it at the first call.
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    static SHARED: Shared = Shared::new();
    Ok(SHARED.get(program()?, run).await)
}

fn run(program: &Path) -> (Access, Process) {
    let access_key = "portico-access".to_owned();
    let secret_key = format!("{:032x}", fastrand::u128(..));
    let [address, console] = free_addresses();
    let process = Process::start("minio", |folder| {
        let mut command = Command::new(program);
        command.arg("server").arg(folder.join("data"));
        command.args(["--address", &address.to_string(), "--console-address", &console.to_string()]);
        command.env("MINIO_ROOT_USER", &access_key).env("MINIO_ROOT_PASSWORD", &secret_key);
        command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off").env("HOME", folder);
        command
    });
    // Its health is good before it takes requests, all of which it answers 503 until then.
    process.wait(address, "/", "403");
    let access =
        Access { endpoint: format!("http://{address}"), region: "us-east-1".to_owned(), access_key, secret_key };
    (access, process)
}
