//! Locks by name, for operations that look before they change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

type Named = HashMap<String, Arc<RwLock<()>>>;

/// Locks by name. A lock exists only while an operation holds it or waits for it.
#[derive(Clone, Default)]
pub(super) struct Locks(Arc<Mutex<Named>>);

/// A held lock. Dropping it releases the lock.
pub(super) struct Held {
    locks: Locks,
    name: String,
    guard: Guard,
}

enum Guard {
    Waiting,
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Exclusive { _guard: OwnedRwLockWriteGuard<()> },
}

impl Locks {
    /// Locks a name against [`Locks::exclusive`].
    pub(super) async fn shared(&self, name: String) -> Held {
        let (lock, mut held) = self.named(name);
        held.guard = Guard::Shared { _guard: lock.read_owned().await };
        held
    }

    /// Locks a name against all others.
    pub(super) async fn exclusive(&self, name: String) -> Held {
        let (lock, mut held) = self.named(name);
        held.guard = Guard::Exclusive { _guard: lock.write_owned().await };
        held
    }

    fn named(&self, name: String) -> (Arc<RwLock<()>>, Held) {
        let lock = self.map().entry(name.clone()).or_default().clone();
        (lock, Held { locks: self.clone(), name, guard: Guard::Waiting })
    }

    fn map(&self) -> MutexGuard<'_, Named> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.map().len()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guard = Guard::Waiting;
        let mut map = self.locks.map();
        // Under the map's lock no other caller can begin to use it.
        if map.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Locks;
    use std::time::Duration;

    #[tokio::test]
    async fn a_name_is_forgotten_with_its_last_holder_or_waiter() {
        let locks = Locks::default();
        let shared = [locks.shared("name".to_owned()).await, locks.shared("name".to_owned()).await];
        let other = locks.exclusive("other".to_owned()).await;
        assert_eq!(locks.count(), 2);
        let waiting = locks.exclusive("name".to_owned());
        assert!(tokio::time::timeout(Duration::from_millis(10), waiting).await.is_err(), "the name is held");
        drop(shared);
        assert_eq!(locks.count(), 1);
        drop(other);
        assert_eq!(locks.count(), 0);
        let held = locks.exclusive("name".to_owned()).await;
        assert_eq!(locks.count(), 1);
        drop(held);
        assert_eq!(locks.count(), 0);
    }
}
