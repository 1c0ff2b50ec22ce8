//! Servers without conditional writes: one process, which serialises its own.
//!
//! The process writes its name into the object `owner` when it opens the store, and reads it again before each write of a
//! slot: of two processes the older one stops. That cannot promise what conditional writes do. A write of the older one
//! that has passed the look and is still on its way when the younger one opens may replace what the younger one writes.

use crate::keys::Place;
use crate::request::client::Client;
use crate::request::failure::Failure;
use crate::request::frames::Frames;
use bytes::Bytes;
use portico_store::{Error, Result, Token};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// The only process on a store.
pub(crate) struct SoleOwner {
    client: Arc<Client>,
    owner: Place,
    token: Token,
    locks: Mutex<HashMap<Place, Weak<tokio::sync::Mutex<()>>>>,
}

impl SoleOwner {
    /// Takes the store.
    pub(crate) async fn take(client: Arc<Client>, owner: Place) -> Result<Self> {
        let token = Token::random()?;
        client.put(&owner, &Frames::from(Bytes::from(token.to_string())), None).await?;
        Ok(SoleOwner { client, owner, token, locks: Mutex::new(HashMap::new()) })
    }

    /// The right to write a slot, if the store is still ours.
    pub(crate) async fn lock(&self, place: &Place) -> Result<OwnedMutexGuard<()>> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > 1_000 {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            match locks.get(place).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(place.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        let guard = lock.lock_owned().await;
        match self.owner().await?.as_deref() {
            Some(owner) if owner == self.token.as_str().as_bytes() => Ok(guard),
            _ => Err(Error::unavailable("another process has taken this store, which is for a single one")),
        }
    }

    async fn owner(&self) -> Result<Option<Bytes>, Failure> {
        Ok(self.client.get_small(&self.owner, 1_024).await?.map(|small| small.body))
    }
}
