//! Opens the store that the configuration names.

use super::Error;
use crate::config::{Config, StoreUrl};
use portico_store::local::LocalStore;

/// Opens the store.
pub(super) async fn open(config: &Config) -> Result<LocalStore, Error> {
    let StoreUrl::Local(path) = &config.store;
    Ok(LocalStore::open(path, config.local.clone()).await?)
}
