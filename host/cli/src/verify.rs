//! `portico check --files`.

use super::error::Error;
use super::stdout;
use crate::config::{Config, StoreConfig};
use portico_s3::S3Store;
use portico_store::local::LocalStore;
use portico_store::verify::{Depth, Difference, Findings};
use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// Compares all files of a store with their receipts, and prints the differences.
pub(super) fn verify(tokio: &Runtime, config: &Config, depth: Depth) -> Result<ExitCode, Error> {
    let mut failed: io::Result<()> = Ok(());
    let mut tell = |difference: Difference| {
        failed = stdout::print(&difference.to_string());
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let findings = Findings::new(&mut tell);
    let verified = match &config.store {
        StoreConfig::Local { path, .. } => LocalStore::verify(path, depth, findings)?,
        StoreConfig::S3(options) => tokio.block_on(S3Store::verify(options, depth, findings))?,
    };
    failed.and_then(|()| stdout::print(&verified.to_string())).map_err(Error::Output)?;
    Ok(if verified.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
