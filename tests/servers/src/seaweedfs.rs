//! SeaweedFS, built by `make test-s3`: master, volume server, filer and gateway in one process.

use crate::access::Access;
use crate::process::{Missing, Process, Shared, ask, find, free_addresses};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The program, or what is missing.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_SEAWEEDFS", "seaweedfs/weed")
}

/// Starts it at the first call.
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    static SHARED: Shared = Shared::new();
    Ok(SHARED.get(program()?, run).await)
}

fn run(program: &Path) -> (Access, Process) {
    let names = ["master", "volume", "filer", "s3"];
    let addresses = free_addresses::<8>();
    let (http, grpc) = addresses.split_at(names.len());
    let (master, s3) = (http[0], http[3]);
    let access = Access {
        endpoint: format!("http://{s3}"),
        region: "us-east-1".to_owned(),
        access_key: "portico-access".to_owned(),
        secret_key: format!("{:032x}", fastrand::u128(..)),
    };
    let process = Process::start("seaweedfs", |folder| {
        std::fs::create_dir(folder.join("data")).expect("a folder");
        std::fs::write(folder.join("s3.json"), identities(&access)).expect("a configuration");
        let socket = |(name, grpc): (&&str, &SocketAddr)| format!("/tmp/seaweedfs-{name}-grpc-{}.sock\n", grpc.port());
        let sockets: String = names.iter().zip(grpc).map(socket).collect();
        std::fs::write(folder.join("outside"), sockets).expect("a list");
        let mut command = Command::new(program);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=data", "-s3", "-s3.config=s3.json"]);
        for ((name, http), grpc) in names.iter().zip(http).zip(grpc) {
            command.args([format!("-{name}.port={}", http.port()), format!("-{name}.port.grpc={}", grpc.port())]);
        }
        // What else would listen, or tell somebody.
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]);
        // A bucket that is missing stays so.
        command.arg("-s3.autoCreateBucket=false");
        command.args(["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]);
        // Each bucket has volumes of its own; one is enough.
        command.args(["-volume.max=4096", "-master.volumeSizeLimitMB=1024"]);
        command.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1").env("HOME", folder);
        command
    });
    // The gateway answers before there is a volume server that could take anything.
    let assigned = || ask(master, "GET /dir/assign", "", "").filter(|answer| answer.contains("\"fid\""));
    process.until(assigned);
    process.wait(s3, "/", "403");
    (access, process)
}

fn identities(access: &Access) -> String {
    let Access { access_key, secret_key, .. } = access;
    format!(
        r#"{{"identities": [{{
            "name": "portico",
            "credentials": [{{"accessKey": "{access_key}", "secretKey": "{secret_key}"}}],
            "actions": ["Admin", "Read", "Write", "List"]
        }}]}}"#
    )
}
