//! `portico sweep`.

use super::store::Store;
use super::{Error, log};
use crate::config::Config;
use std::io::Write;
use std::process::ExitCode;

/// Sweeps the store and says what was removed.
pub(super) fn sweep(config: &Config) -> Result<ExitCode, Error> {
    log::start(config);
    let report = super::tokio()?.block_on(async {
        let store = Store::open_now(config).await?;
        let swept = store.backend().sweep().await;
        store.settle().await;
        let mut report = swept?;
        // Opening a local store sweeps it, so what killed processes had left is gone already.
        if let Store::Local(store) = &store {
            report.removed += store.swept_at_opening().removed;
            report.bytes += store.swept_at_opening().bytes;
        }
        Ok::<_, Error>(report)
    })?;
    let mut out = std::io::stdout().lock();
    let mut say = || {
        writeln!(out, "removed {} leftovers of {} bytes", report.removed, report.bytes)?;
        for name in &report.foreign {
            writeln!(out, "not a thing of this store, left alone: {name}")?;
        }
        out.flush()
    };
    say().map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}
