//! Garage, built by `make test-s3`: one node, and a key that may make buckets.

use crate::access::Access;
use crate::process::{Missing, Process, Shared, find, free_addresses};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const REGION: &str = "garage";

/// The program, or what is missing.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_GARAGE", "garage/bin/garage")
}

/// Starts it at the first call.
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    static SHARED: Shared = Shared::new();
    Ok(SHARED.get(program()?, run).await)
}

fn run(program: &Path) -> (Access, Process) {
    let [api, rpc] = free_addresses();
    let garage = |folder: &Path| {
        let mut command = Command::new(program);
        command.arg("-c").arg(folder.join("garage.toml"));
        command
    };
    let process = Process::start("garage", |folder| {
        std::fs::write(folder.join("garage.toml"), config(folder, api, rpc)).expect("a configuration");
        let mut command = garage(folder);
        command.arg("server");
        command
    });
    let access = Access {
        endpoint: format!("http://{api}"),
        region: REGION.to_owned(),
        access_key: format!("GK{:024x}", fastrand::u128(..) >> 32),
        secret_key: format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..)),
    };
    let tell = |arguments: &[&str]| {
        process.until(|| {
            let output = garage(process.folder()).args(arguments).output().expect("garage starts");
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })
    };
    let node = tell(&["node", "id", "-q"]);
    let node = node.split('@').next().expect("an id");
    tell(&["layout", "assign", "-z", "here", "-c", "10G", node]);
    tell(&["layout", "apply", "--version", "1"]);
    tell(&["key", "import", "--yes", "-n", "portico", &access.access_key, &access.secret_key]);
    tell(&["key", "allow", "--create-bucket", &access.access_key]);
    process.wait(api, "/", "403");
    (access, process)
}

fn config(folder: &Path, api: SocketAddr, rpc: SocketAddr) -> String {
    let folder = folder.display();
    let secret = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
    format!(
        r#"metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "{rpc}"
rpc_public_addr = "{rpc}"
rpc_secret = "{secret}"

[s3_api]
s3_region = "{REGION}"
api_bind_addr = "{api}"
"#
    )
}
