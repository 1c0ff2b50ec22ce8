//! Exclusive ownership of a store on a server without conditional writes.
//!
//! A process writes its name into the object `owner` when it opens the store, and reads that object before each write
//! of a slot. Of two processes the older one stops. This is weaker than conditional writes: a write of the older
//! process that has passed the check and is still in flight may replace a write of the younger process.

use crate::keys::ObjectKey;
use crate::request::client::Client;
use crate::request::failure::Failure;
use crate::request::frames::Frames;
use bytes::Bytes;
use portico_store::{Error, Result, Token};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

/// The sole owner of a store.
pub(crate) struct SoleOwner {
    client: Arc<Client>,
    owner: ObjectKey,
    token: Token,
    locks: Mutex<HashMap<ObjectKey, Weak<tokio::sync::Mutex<()>>>>,
}

impl SoleOwner {
    /// Becomes the owner of the store.
    pub(crate) async fn take(client: Arc<Client>, owner: ObjectKey) -> Result<Self> {
        let token = Token::random()?;
        client.put(&owner, &Frames::from(Bytes::from(token.to_string())), None).await?;
        Ok(SoleOwner { client, owner, token, locks: Mutex::new(HashMap::new()) })
    }

    /// Locks a slot for writing, if this process still owns the store.
    pub(crate) async fn lock(&self, object: &ObjectKey) -> Result<OwnedMutexGuard<()>> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > 1_000 {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            match locks.get(object).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(object.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        let guard = lock.lock_owned().await;
        match self.owner().await?.as_deref() {
            Some(owner) if owner == self.token.as_str().as_bytes() => Ok(guard),
            _ => Err(Error::unavailable("another process has become the owner of this store")),
        }
    }

    async fn owner(&self) -> Result<Option<Bytes>, Failure> {
        Ok(self.client.get_small(&self.owner, 1_024).await?.map(|small| small.body))
    }
}
