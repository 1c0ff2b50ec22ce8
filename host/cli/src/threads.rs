//! The async runtime of a command.

use super::error::Error;
use std::time::Duration;

/// Threads for blocking work, such as writing and hashing.
pub(super) const BLOCKING_THREADS: usize = 64;

/// Longest wait for blocking calls after the work of the command has ended.
const BLOCKING_END: Duration = Duration::from_secs(5);

/// Runs the work of a command. At the end, waits at most [`BLOCKING_END`] for blocking calls.
///
/// # Errors
/// [`Error::Start`], or the error of `work`.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let tokio = start()?;
    let done = tokio.block_on(work);
    tokio.shutdown_timeout(BLOCKING_END);
    done
}

/// Starts the async runtime of a command.
///
/// # Errors
/// [`Error::Start`].
pub(super) fn start() -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build().map_err(Error::Start)
}
