//! Locks on file ids.
//!
//! Invariant: one operation at a time gives an object its name or takes it away.

use crate::watched::Watched;
use crate::{Error, FileId, Result, Scope};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Locks on file ids.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Watched<HashMap<(Scope, FileId), Lock>>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Held,
    /// Whether the object exists is unknown until the store is opened again; until then its name is left alone.
    Doubt,
}

impl Names {
    /// Waits for the lock of a file id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a publication of it is in doubt.
    pub(crate) async fn lock(&self, scope: &Scope, file: &FileId) -> Result<NameLock> {
        let name = (scope.clone(), file.clone());
        let locked = self.0.until(|taken| match taken.entry(name.clone()) {
            Entry::Vacant(free) => {
                free.insert(Lock::Held);
                Some(Ok(()))
            }
            Entry::Occupied(lock) if *lock.get() == Lock::Doubt => Some(Err(doubt())),
            Entry::Occupied(_) => None,
        });
        locked.await?;
        Ok(NameLock { names: self.clone(), name })
    }

    /// Checks that no publication of a file id is in doubt.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if one is.
    pub(crate) fn is_certain(&self, scope: &Scope, file: &FileId) -> Result<()> {
        match self.0.lock().get(&(scope.clone(), file.clone())) {
            Some(Lock::Doubt) => Err(doubt()),
            _ => Ok(()),
        }
    }
}

fn doubt() -> Error {
    Error::unavailable("an unfinished publication holds the name; opening the store again clears it")
}

/// A held lock. Dropping it releases the lock.
pub(crate) struct NameLock {
    names: Names,
    name: (Scope, FileId),
}

impl NameLock {
    /// Leaves the name locked, as one in doubt, until the store is opened again.
    pub(crate) fn keep_in_doubt(self) {
        self.names.0.lock().insert(self.name.clone(), Lock::Doubt);
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        if let Entry::Occupied(lock) = self.names.0.lock().entry(self.name.clone())
            && *lock.get() == Lock::Held
        {
            lock.remove();
        }
        self.names.0.notify();
    }
}
