//! The local filesystem backend: plain files, and an SQLite index of the rows that make them exist.
//!
//! One process has the folder at a time, so claims, seals and locks on names are plain state of this process. The index
//! alone decides what exists: data comes first, under a name of its own, and a row makes it exist. [`crate::Backend`]
//! says what each operation promises; ARCHITECTURE.md says why this order keeps the promises.

mod aside;
mod assemble;
mod backend;
mod backup;
mod body;
mod budget;
mod cached;
mod catch_up;
mod chain;
mod compare;
mod create;
mod disk;
mod ended;
mod facts;
mod folder;
mod health;
mod index;
mod layout;
mod names;
mod open_error;
mod publish;
mod put_final;
mod put_part;
mod read;
mod reader;
mod ready;
mod rebuild;
mod reserve;
mod root;
mod sessions;
mod staging;
mod steps;
mod sweep;
mod syncs;
mod verify;

use crate::catching::{Catch, Catchers};
use crate::{Error, Result, SweepReport, limits};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use backup::BackupReport;
pub use facts::{FsFacts, FsKind};
pub use open_error::OpenError;
pub use rebuild::{FormatMade, RebuildReport};

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
    inner: Arc<Inner>,
    swept: SweepReport,
}

struct Inner {
    options: LocalOptions,
    disk: Arc<disk::Disk>,
    health: Arc<health::Health>,
    index: index::Index,
    sessions: sessions::Sessions,
    names: names::Names,
    staging: staging::Staging,
    catchers: Catchers<Box<dyn Catch>>,
    budget: Arc<budget::Budget>,
    counters: CounterCells,
    inodes: ready::Inodes,
    /// Holds the lock on the folder.
    root: root::Root,
}

#[derive(Default)]
struct CounterCells {
    hash_read_back: AtomicU64,
    hash_caught_up: AtomicU64,
    assembly_copied: AtomicU64,
}

/// Runs blocking work, off the async threads.
async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let inner = inner.clone();
    tokio::task::spawn_blocking(move || work(&inner)).await.map_err(Error::internal)?
}

/// Runs work to its end, even if its caller is dropped.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

impl LocalStore {
    /// Opens the store in a folder, and creates one if the folder is missing or empty. Removes what killed processes
    /// left behind. Tries a small put in the folders, so that a store in which every put would fail is refused.
    ///
    /// # Errors
    /// [`OpenError`]; the folder is unchanged then.
    pub async fn open(path: &Path, options: LocalOptions) -> Result<Self, OpenError> {
        Self::open_with(path, options, None).await
    }

    /// As [`LocalStore::open`], for tests of crashes. `fault` is called with the name of each step, before and after
    /// each change of the store, and may block; once it has returned true, the store behaves as if its process had been
    /// killed at that step. Hidden but always present, so that the tested code is the shipped code.
    ///
    /// # Errors
    /// [`OpenError`].
    #[doc(hidden)]
    pub async fn open_with_fault(
        path: &Path,
        options: LocalOptions,
        fault: impl Fn(&'static str) -> bool + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Self::open_with(path, options, Some(Box::new(fault))).await
    }

    async fn open_with(
        path: &Path,
        options: LocalOptions,
        observer: Option<steps::Observer>,
    ) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let durable = options.durability == Durability::Full;
            create::folders(&path)?;
            let root = root::Root::lock(&path, options.lock_wait)?;
            let health = Arc::new(health::Health::default());
            let steps = Arc::new(steps::Steps::new(observer));
            let (index, reserve) = root.open(durable, &health, &steps)?;
            let disk = Arc::new(disk::Disk::new(root.dir(), durable, Some(reserve), health.clone(), steps));
            Ok(Arc::new(Inner {
                disk,
                health,
                index,
                root,
                options,
                sessions: sessions::Sessions::default(),
                names: names::Names::default(),
                staging: staging::Staging::default(),
                catchers: Catchers::default(),
                budget: budget::Budget::new(),
                counters: CounterCells::default(),
                inodes: ready::Inodes::default(),
            }))
        });
        let inner = opened.await.map_err(|error| OpenError::io(PathBuf::new(), std::io::Error::other(error)))??;
        if inner.options.durability == Durability::Full {
            sweep::forget_cached(&inner).await.map_err(|error| OpenError::fault(inner.root.path(), error))?;
        }
        let swept = sweep::sweep(&inner).await.map_err(|error| OpenError::fault(inner.root.path(), error))?;
        for name in &swept.foreign {
            tracing::warn!(name, "not a thing of this store; it is left alone");
        }
        match ready::check_files(&inner).await {
            // A full store is opened for reads and deletes.
            Ok(()) | Err(Error::NoSpace) => {}
            Err(cause) => return Err(OpenError::Unfit { root: inner.root.path().to_owned(), cause }),
        }
        Ok(LocalStore { inner, swept })
    }

    /// What the opening removed that killed processes had left behind.
    pub fn swept_at_opening(&self) -> &SweepReport {
        &self.swept
    }

    /// Describes this process to processes that are refused, for example by the address that it serves.
    pub fn describe_holder(&self, what: &str) {
        self.inner.root.describe_holder(what);
    }

    /// The work since the store was opened.
    pub fn counters(&self) -> Counters {
        Counters {
            hash_read_back: self.inner.counters.hash_read_back.load(Ordering::Relaxed),
            hash_caught_up: self.inner.counters.hash_caught_up.load(Ordering::Relaxed),
            assembly_copied: self.inner.counters.assembly_copied.load(Ordering::Relaxed),
        }
    }

    /// Waits until no background hasher has work, for benchmarks and tests.
    #[doc(hidden)]
    pub async fn caught_up(&self) {
        self.inner.catchers.idle().await;
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.inner.catchers.close();
    }
}
