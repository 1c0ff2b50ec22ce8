//! This program as one that is measured: it opens a store and puts one file.

use crate::minio::REGION;
use async_trait::async_trait;
use bytes::Bytes;
use clap::Parser;
use portico_bench_harness::Result;
use portico_s3::{Location, PayloadSigning, S3Options, S3Store};
use portico_store::stream::ByteStream;
use portico_store::{Error, Expected, FileId, FinalOptions, Scope, put_final};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::sync::mpsc;

/// The first argument of a child.
const NAME: &str = "put";

/// Bytes of one read of the file.
const READ: usize = 512 << 10;

#[derive(Parser)]
struct Put {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    location: String,
    #[arg(long)]
    sign: bool,
    file: PathBuf,
}

/// The command of a child.
pub(crate) fn put(endpoint: &str, location: &str, sign: bool, file: &str) -> Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args([NAME, "--endpoint", endpoint, "--location", location]);
    command.args(sign.then_some("--sign")).arg(file);
    Ok(command)
}

/// Does what a child does, if this process is one.
pub(crate) fn run_if_asked() -> Option<Result<()>> {
    let is_asked = std::env::args_os().nth(1).is_some_and(|name| name == NAME);
    is_asked.then(|| run(Put::parse_from(std::env::args_os().skip(1))))
}

#[tokio::main]
async fn run(put: Put) -> Result<()> {
    let mut options = S3Options::new(Location::parse(&put.location)?);
    options.endpoint = Some(put.endpoint);
    options.region = Some(REGION.to_owned());
    if put.sign {
        options.payload_signing = PayloadSigning::Always;
    }
    let store = S3Store::open(options).await?;
    let opened = Instant::now();
    let (mut content, size) = open(&put.file)?;
    let options =
        FinalOptions { expected: Expected { size: Some(size), ..Expected::default() }, ..FinalOptions::default() };
    let receipt = put_final(&store, &Scope::root(), &FileId::parse("file")?, &mut content, options).await?;
    store.settle().await;
    let seconds = opened.elapsed().as_secs_f64();
    let said = serde_json::json!({ "sha256": receipt.sha256.to_hex(), "seconds": seconds });
    Ok(writeln!(std::io::stdout(), "{said}")?)
}

/// A file that a thread reads ahead.
struct File(mpsc::Receiver<std::io::Result<Bytes>>);

fn open(path: &Path) -> Result<(File, u64)> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut chunk = Vec::with_capacity(READ);
            let read = (&mut file).take(READ as u64).read_to_end(&mut chunk);
            let read = match read {
                Ok(0) => return,
                read => read.map(|_| Bytes::from(chunk)),
            };
            let has_failed = read.is_err();
            if sender.blocking_send(read).is_err() || has_failed {
                return;
            }
        }
    });
    Ok((File(receiver), size))
}

#[async_trait]
impl ByteStream for File {
    async fn next(&mut self) -> portico_store::Result<Option<Bytes>> {
        self.0.recv().await.transpose().map_err(Error::internal)
    }
}
