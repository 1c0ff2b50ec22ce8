//! versitygw over a folder, built by `make test-s3`. Metadata is in extended attributes of the files.

use crate::access::Access;
use crate::process::{Missing, Process, Shared, find, free_addresses};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The program, or what is missing.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_VERSITYGW", "versitygw/versitygw")
}

/// Starts it at the first call.
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    static SHARED: Shared = Shared::new();
    Ok(SHARED.get(program()?, run).await)
}

fn run(program: &Path) -> (Access, Process) {
    let [address] = free_addresses();
    let access = Access {
        endpoint: format!("http://{address}"),
        region: "us-east-1".to_owned(),
        access_key: "portico-access".to_owned(),
        secret_key: format!("{:032x}", fastrand::u128(..)),
    };
    let process = Process::start("versitygw", |folder| {
        let data = folder.join("data");
        std::fs::create_dir(&data).expect("a folder");
        let mut command = Command::new(program);
        command.args(["--port", &address.to_string(), "posix"]).arg(data);
        command.env("ROOT_ACCESS_KEY", &access.access_key).env("ROOT_SECRET_KEY", &access.secret_key);
        command
    });
    process.wait(address, "/", "403");
    (access, process)
}
