//! The local filesystem backend: plain files, and an SQLite index of what exists.
//!
//! One folder, one process at a time, so what is going on (claims, seals, locks on names) is plain state of this
//! process. What exists is decided by the index alone: data comes first, under a name of its own, and a row makes it
//! exist. [`crate::Backend`] says what each operation promises; ARCHITECTURE.md says why this order keeps the promises.

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
mod hashing;
mod health;
mod index;
mod later;
mod layout;
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
mod sweep;
mod verify;

use crate::catching::Catchers;
use crate::{Error, Result, SweepReport, Token, limits};
use rusqlite::Connection;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use backup::BackupReport;
pub use facts::{FsFacts, FsKind};
pub use open_error::OpenError;
pub use rebuild::{FormatMade, RebuildReport};

/// What a local store is opened with.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Whether an answer waits until the data would survive a power failure.
    pub durability: Durability,
    /// Largest content of one put or assembly, in bytes.
    pub max_object_size: u64,
    /// How long to wait for another process to let go of the store.
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

/// When a write has answered, what has it survived?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process and of the machine: files, folders and index are synced before the answer.
    #[default]
    Full,
    /// The end of the process only; after a power failure the store may be damaged. For scratch stores.
    None,
}

/// What a store did since it was opened, for benchmarks and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that assemblies read back for the digest of the whole.
    pub hash_read_back: u64,
    /// Bytes that were read back for it in the background, while parts still arrived.
    pub hash_caught_up: u64,
    /// Bytes of parts that were acknowledged before they were hashed to their end.
    pub hash_later: u64,
    /// Bytes that assemblies copied.
    pub assembly_copied: u64,
}

/// A store in a folder of the local filesystem.
///
/// The folder belongs to this value until the value and its writers are gone; a second process is refused meanwhile.
/// Streams that are open go on to their end.
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
    names: Arc<publish::Names>,
    staged: Mutex<HashSet<Token>>,
    catchers: Catchers<catch_up::CatchUp>,
    pending: hashing::PendingParts,
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
    hash_later: AtomicU64,
    assembly_copied: AtomicU64,
}

impl Inner {
    /// Makes a change of the index; see [`index::Index::write`].
    async fn write<T: Send + 'static>(&self, work: impl Fn(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        self.stepwise(["commit", "committed"], self.index.write(work)).await
    }

    /// Makes a change that gives room back; see [`index::Index::free`].
    async fn free<T: Send + 'static>(&self, work: impl Fn(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        self.stepwise(["commit", "committed"], self.index.free(work)).await
    }

    /// Makes a change that may be lost; see [`index::Index::note`].
    async fn note<T: Send + 'static>(&self, work: impl Fn(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        self.stepwise(["note", "noted"], self.index.note(work)).await
    }

    async fn stepwise<T>(&self, steps: [&'static str; 2], change: impl Future<Output = Result<T>>) -> Result<T> {
        let [before, after] = steps;
        self.disk.step(before)?;
        let made = change.await?;
        self.disk.step(after)?;
        Ok(made)
    }

    /// The tokens in use below `staging/`.
    fn staged(&self) -> MutexGuard<'_, HashSet<Token>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work that blocks, off the async threads.
async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let inner = inner.clone();
    tokio::task::spawn_blocking(move || work(&inner)).await.map_err(Error::internal)?
}

/// Runs work that blocks only where something is synced.
async fn syncing<T: Send + 'static>(
    inner: &Arc<Inner>,
    work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
) -> Result<T> {
    match inner.options.durability {
        Durability::Full => blocking(inner, work).await,
        Durability::None => work(inner),
    }
}

/// Runs work that must not stop half-way to its end, even if whoever waits for it goes away.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

impl LocalStore {
    /// Opens the store in a folder, and makes one there if the folder is missing or empty. Removes what killed
    /// processes left behind. Tries what a put does in the folders, so that a store in which no put can succeed is refused.
    ///
    /// # Errors
    /// [`OpenError`]; the folder is as it was then.
    pub async fn open(path: &Path, options: LocalOptions) -> Result<Self, OpenError> {
        Self::open_with(path, options, None).await
    }

    /// As [`LocalStore::open`], for tests of crashes. `fault` is asked before and after each step that changes something,
    /// with the step's name, and may block; once it has answered true the store behaves as if its process had been
    /// killed there. Hidden but always there, so that what is tested is what is shipped.
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

    async fn open_with(path: &Path, options: LocalOptions, fault: Option<disk::Fault>) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let durable = options.durability == Durability::Full;
            create::folders(&path)?;
            let root = root::Root::lock(&path, options.lock_wait)?;
            let health = Arc::new(health::Health::default());
            let (index, reserve) = root.open(durable, &health)?;
            let disk = Arc::new(disk::Disk::new(root.dir(), durable, Some(reserve), health.clone(), fault));
            Ok(Arc::new(Inner {
                disk,
                health,
                index,
                root,
                options,
                sessions: sessions::Sessions::default(),
                names: Arc::default(),
                staged: Mutex::default(),
                catchers: Catchers::default(),
                pending: hashing::PendingParts::default(),
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

    /// What the opening found and removed that killed processes had left behind.
    pub fn swept_at_opening(&self) -> &SweepReport {
        &self.swept
    }

    /// Tells who is refused meanwhile what this process is, for example the address that it serves.
    pub fn describe_holder(&self, what: &str) {
        self.inner.root.describe_holder(what);
    }

    /// What the store did since it was opened.
    pub fn counters(&self) -> Counters {
        Counters {
            hash_read_back: self.inner.counters.hash_read_back.load(Ordering::Relaxed),
            hash_caught_up: self.inner.counters.hash_caught_up.load(Ordering::Relaxed),
            hash_later: self.inner.counters.hash_later.load(Ordering::Relaxed),
            assembly_copied: self.inner.counters.assembly_copied.load(Ordering::Relaxed),
        }
    }

    /// Waits until nothing more can be hashed in the background, for benchmarks and tests.
    #[doc(hidden)]
    pub async fn caught_up(&self) {
        self.inner.pending.idle().await;
        self.inner.catchers.idle().await;
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.inner.catchers.close();
    }
}
