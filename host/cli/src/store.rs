//! Opens the store that the configuration names.

use super::error::Error;
use crate::config::{Config, StoreConfig};
use portico_s3::{S3Options, S3Store};
use portico_store::Backend;
use portico_store::local::{LocalOptions, LocalStore};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for background tasks at the end of a command.
const SETTLE: Duration = Duration::from_secs(5);

/// An open store.
pub(super) enum OpenStore {
    /// A folder, owned by this process.
    Local(Arc<LocalStore>),
    /// A bucket, possibly shared with other processes.
    S3(Arc<S3Store>),
}

impl OpenStore {
    /// Opens the store, or fails at once if another process holds its lock.
    pub(super) async fn open_now(config: &Config) -> Result<OpenStore, Error> {
        let mut store = config.store.clone();
        if let StoreConfig::Local { options: LocalOptions { lock_wait, .. }, .. } = &mut store {
            *lock_wait = Duration::ZERO;
        }
        OpenStore::open(&store).await
    }

    /// Opens the store. A local store waits for its lock, at most [`LocalOptions::lock_wait`].
    pub(super) async fn open(store: &StoreConfig) -> Result<OpenStore, Error> {
        Ok(match store {
            StoreConfig::Local { path, options } => {
                OpenStore::Local(Arc::new(LocalStore::open(path, options.clone()).await?))
            }
            StoreConfig::S3(options) => OpenStore::S3(Arc::new(S3Store::open(S3Options::clone(options)).await?)),
        })
    }

    /// Waits for background tasks, such as the removal of failed uploads, at most [`SETTLE`]. A sweep removes the rest.
    pub(super) async fn wait_background(&self) {
        let settled = async {
            match self {
                OpenStore::Local(store) => store.settle().await,
                OpenStore::S3(store) => store.settle().await,
            }
        };
        if tokio::time::timeout(SETTLE, settled).await.is_err() {
            tracing::warn!("not all failed uploads could be removed in time; a sweep will remove the rest");
        }
    }

    /// Returns the store as a backend.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        match self {
            OpenStore::Local(store) => store.clone(),
            OpenStore::S3(store) => store.clone(),
        }
    }
}
