//! Opens the store that the configuration names.

use super::Error;
use crate::config::{Config, StoreUrl};
use portico_store::local::{LocalOptions, LocalStore};
use std::time::Duration;

/// Opens the store for a server, and waits as configured for the one before it to end.
pub(super) async fn await_turn(config: &Config) -> Result<LocalStore, Error> {
    open(config, config.local.clone()).await
}

/// Opens the store if nobody else has it now.
pub(super) async fn open_now(config: &Config) -> Result<LocalStore, Error> {
    open(config, LocalOptions { lock_wait: Duration::ZERO, ..config.local.clone() }).await
}

async fn open(config: &Config, options: LocalOptions) -> Result<LocalStore, Error> {
    let StoreUrl::Local(path) = &config.store;
    Ok(LocalStore::open(path, options).await?)
}
