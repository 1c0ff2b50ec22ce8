//! The MinIO of a run. It is killed when its value is dropped.

use portico_bench_harness::process::{Server, free_addr};
use portico_bench_harness::{Result, client};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCESS_KEY: &str = "portico-bench";
pub(crate) const SECRET_KEY: &str = "portico-bench-secret";

/// How long it may take until it takes requests.
const START: Duration = Duration::from_secs(60);

/// A MinIO with nothing in it at first.
pub(crate) struct Minio {
    _server: Server,
    trash: PathBuf,
    pub(crate) addr: SocketAddr,
    pub(crate) version: String,
}

impl Minio {
    pub(crate) fn start(program: &Path, data: &Path, dir: &Path) -> Result<Minio> {
        let output = Command::new(program).arg("--version").output();
        let output = output.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let version = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("MinIO").to_owned();
        let (addr, console) = (free_addr()?, free_addr()?);
        let mut command = Command::new(program);
        command.arg("server").arg(data.join("minio"));
        command.args(["--address", &addr.to_string(), "--console-address", &console.to_string()]);
        command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
        command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off").env("HOME", dir);
        let server = Server::at(command, addr, &dir.join("minio.log"))?;
        let end = Instant::now() + START;
        // It answers 503 until it takes requests, then 403, because this one is not signed.
        while client::ask(addr, "GET", "/", "").is_ok_and(|answer| answer.status != 403) {
            if Instant::now() > end {
                return Err("MinIO takes no requests".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Minio { _server: server, trash: data.join("minio/.minio.sys/tmp/.trash"), addr, version })
    }

    /// Removes what has been deleted, which it would do itself some minutes later, by when it could have filled the disk.
    pub(crate) fn empty_trash(&self) -> Result<()> {
        for entry in std::fs::read_dir(&self.trash)? {
            let path = entry?.path();
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            // It may have come first.
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

pub(crate) fn endpoint(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// Gives a program the credentials and the region, and nothing else of the user's.
pub(crate) fn give_access(command: &mut Command, dir: &Path) {
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("HOME", dir).env("TMPDIR", dir).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_REGION", REGION);
}
