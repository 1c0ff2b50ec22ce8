//! The threads of a command.

use super::error::Error;

/// Threads for work that blocks, such as writing and hashing.
pub(super) const BLOCKING_THREADS: usize = 64;

/// Starts the async runtime of a command.
///
/// # Errors
/// [`Error::Start`].
pub(super) fn start() -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build().map_err(Error::Start)
}
