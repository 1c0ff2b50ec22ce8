//! The state that the operations of a local store share.
//!
//! Invariant: this file imports no operation.

use crate::catching::{Catch, Catchers};
use crate::local::files::aside::Asides;
use crate::local::files::budget::Budget;
use crate::local::files::disk::Disk;
use crate::local::files::health::Health;
use crate::local::files::inodes::Inodes;
use crate::local::files::staging::Staging;
use crate::local::index::Index;
use crate::local::names::Names;
use crate::local::open::root::Root;
use crate::local::sessions::Sessions;
use crate::{Error, Result, SweepReport, limits};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The options of a local store.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Whether a write returns only after its data would survive a power failure.
    pub durability: Durability,
    /// Largest content of one put or assembly, in bytes.
    pub max_object_size: u64,
    /// How long to wait for another process to release the store.
    pub lock_wait: Duration,
}

impl Default for LocalOptions {
    fn default() -> Self {
        LocalOptions {
            durability: Durability::Full,
            max_object_size: limits::OBJECT_SIZE_MAX,
            lock_wait: Duration::ZERO,
        }
    }
}

/// What a write has survived when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process and of the machine: files, folders and index are synced before the return.
    #[default]
    Full,
    /// The end of the process only; after a power failure the store may be damaged. For scratch stores.
    None,
}

/// Counts the work of a store since it was opened, for benchmarks and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that assemblies read back for the digest of the whole.
    pub hash_read_back: u64,
    /// Bytes that were read back for it in the background, while parts still arrived.
    pub hash_caught_up: u64,
    /// Bytes that assemblies copied.
    pub assembly_copied: u64,
}

/// A store in a folder of the local filesystem.
///
/// The folder belongs to this value until the value and its writers are dropped; meanwhile a second process is refused.
/// Open streams continue to their end.
pub struct LocalStore {
    pub(crate) inner: Arc<Inner>,
    pub(crate) swept: SweepReport,
}

pub(crate) struct Inner {
    pub(crate) options: LocalOptions,
    pub(crate) disk: Arc<Disk>,
    pub(crate) health: Arc<Health>,
    pub(crate) index: Index,
    pub(crate) sessions: Sessions,
    pub(crate) names: Names,
    pub(crate) staging: Staging,
    pub(crate) asides: Asides,
    pub(crate) catchers: Catchers<Box<dyn Catch>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: CounterCells,
    pub(crate) inodes: Inodes,
    /// Holds the lock on the folder.
    pub(crate) root: Root,
}

#[derive(Default)]
pub(crate) struct CounterCells {
    pub(crate) hash_read_back: AtomicU64,
    pub(crate) hash_caught_up: AtomicU64,
    pub(crate) assembly_copied: AtomicU64,
}

/// Runs blocking work, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let inner = inner.clone();
    tokio::task::spawn_blocking(move || work(&inner)).await.map_err(Error::internal)?
}

/// Runs work to its end, even if its caller is dropped.
pub(crate) async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

pub(crate) fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
