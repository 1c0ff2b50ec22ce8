//! Opens the store that the configuration names.

use super::error::Error;
use crate::config::{Config, StoreConfig};
use portico_s3::{S3Options, S3Store};
use portico_store::Backend;
use portico_store::local::{LocalOptions, LocalStore};
use std::sync::Arc;
use std::time::Duration;

/// How long what goes on in the background may take at the end of a command.
const SETTLE: Duration = Duration::from_secs(5);

/// A store that is open.
pub(super) enum Store {
    /// In a folder, which is this process's alone.
    Local(Arc<LocalStore>),
    /// In a bucket, on which other processes may work too.
    S3(Arc<S3Store>),
}

impl Store {
    /// Opens the store for a server, and waits as configured for the one before it to end.
    pub(super) async fn await_turn(config: &Config) -> Result<Store, Error> {
        Store::open(&config.store).await
    }

    /// Opens the store if nobody else has it now.
    pub(super) async fn open_now(config: &Config) -> Result<Store, Error> {
        let mut store = config.store.clone();
        if let StoreConfig::Local { options: LocalOptions { lock_wait, .. }, .. } = &mut store {
            *lock_wait = Duration::ZERO;
        }
        Store::open(&store).await
    }

    async fn open(store: &StoreConfig) -> Result<Store, Error> {
        Ok(match store {
            StoreConfig::Local { path, options } => {
                Store::Local(Arc::new(LocalStore::open(path, options.clone()).await?))
            }
            StoreConfig::S3(options) => Store::S3(Arc::new(S3Store::open(S3Options::clone(options)).await?)),
        })
    }

    /// Waits for what goes on in the background, such as the removal of what failed; but not for long, because a sweep
    /// does it too.
    pub(super) async fn settle(&self) {
        if let Store::S3(store) = self
            && tokio::time::timeout(SETTLE, store.settle()).await.is_err()
        {
            tracing::warn!("not all that failed could be removed in time; a sweep does it");
        }
    }

    /// It as what all stores are.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        match self {
            Store::Local(store) => store.clone(),
            Store::S3(store) => store.clone(),
        }
    }
}
