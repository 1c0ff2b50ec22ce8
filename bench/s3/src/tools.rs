//! The programs that the store alone is measured against, as their users call them.

use crate::minio::{endpoint, give_access};
use portico_bench_harness::Result;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of them.
pub(crate) struct Tool {
    /// What is called.
    pub(crate) name: &'static str,
    program: PathBuf,
    version: &'static [&'static str],
    arguments: fn(file: &str, endpoint: &str, bucket: &str, key: &str) -> Vec<String>,
}

fn strings<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).to_vec()
}

/// All three, of a folder.
pub(crate) fn all(folder: &Path) -> [Tool; 3] {
    [
        Tool {
            name: "aws s3 cp",
            program: folder.join("aws"),
            version: &["--version"],
            arguments: |file, endpoint, bucket, key| {
                let to = format!("s3://{bucket}/{key}");
                strings(["--endpoint-url", endpoint, "s3", "cp", "--only-show-errors", file, &to])
            },
        },
        Tool {
            name: "s5cmd cp",
            program: folder.join("s5cmd"),
            version: &["version"],
            arguments: |file, endpoint, bucket, key| {
                strings(["--endpoint-url", endpoint, "cp", file, &format!("s3://{bucket}/{key}")])
            },
        },
        Tool {
            name: "rclone copyto",
            program: folder.join("rclone"),
            version: &["version"],
            arguments: |file, endpoint, bucket, key| {
                let to = format!(":s3,provider=Minio,env_auth=true,endpoint='{endpoint}':{bucket}/{key}");
                strings(["--config", "", "copyto", file, &to])
            },
        },
    ]
}

impl Tool {
    pub(crate) fn is_there(&self) -> bool {
        self.program.is_file()
    }

    /// The first line that says which it is.
    pub(crate) fn version(&self, dir: &Path) -> Result<String> {
        let mut command = Command::new(&self.program);
        give_access(&mut command, dir);
        let output = command.args(self.version).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split_whitespace().take(if text.starts_with("rclone") { 2 } else { 1 }).collect::<Vec<_>>().join(" "))
    }

    /// Copies a file to a key.
    pub(crate) fn copy(&self, dir: &Path, file: &str, server: SocketAddr, bucket: &str, key: &str) -> Command {
        let mut command = Command::new(&self.program);
        give_access(&mut command, dir);
        command.args((self.arguments)(file, &endpoint(server), bucket, key));
        command
    }
}
