//! Opens a local store, and closes it.

use crate::catching::Catchers;
use crate::local::files::aside::Asides;
use crate::local::files::budget::Budget;
use crate::local::files::disk::Disk;
use crate::local::files::health::Health;
use crate::local::files::inodes::Inodes;
use crate::local::files::staging::Staging;
use crate::local::files::steps::{Observer, Steps};
use crate::local::names::Names;
use crate::local::open::create;
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use crate::local::operations::{ready, sweep};
use crate::local::sessions::Sessions;
use crate::local::shared::{CounterCells, Counters, Durability, Inner, LocalOptions, LocalStore};
use crate::{Error, SweepReport};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

    async fn open_with(path: &Path, options: LocalOptions, observer: Option<Observer>) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let durable = options.durability == Durability::Full;
            create::folders(&path)?;
            let root = Root::lock(&path, options.lock_wait)?;
            let health = Arc::new(Health::default());
            let steps = Arc::new(Steps::new(observer));
            let (index, reserve) = root.open(durable, &health, &steps)?;
            let disk = Arc::new(Disk::new(root.dir(), durable, Some(reserve), health.clone(), steps));
            Ok(Arc::new(Inner {
                disk,
                health,
                index,
                root,
                options,
                sessions: Sessions::default(),
                names: Names::default(),
                staging: Staging::default(),
                asides: Asides::default(),
                catchers: Catchers::default(),
                budget: Budget::new(),
                counters: CounterCells::default(),
                inodes: Inodes::default(),
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
