//! Syncs of folders, each shared by all callers that wait for one of the same folder.
//!
//! Invariants: a caller returns after a sync that began after its call; after a failed sync no folder is synced again.

use crate::Result;
use crate::local::files::health::Health;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The syncs of a store's folders.
pub(crate) struct FolderSyncs {
    folders: Mutex<HashMap<PathBuf, Turns>>,
    ended: Condvar,
    health: Arc<Health>,
}

/// The syncs of one folder, counted from when the first of its present callers came.
#[derive(Default)]
struct Turns {
    begun: u64,
    /// The last one that has succeeded.
    ended: u64,
    is_running: bool,
    callers: usize,
}

impl FolderSyncs {
    /// No syncs yet. A failed one is reported to `health`.
    pub(crate) fn new(health: Arc<Health>) -> Self {
        FolderSyncs { folders: Mutex::default(), ended: Condvar::new(), health }
    }

    /// Syncs a folder by `sync`, or waits for another caller who does. Blocks.
    ///
    /// # Errors
    /// The failure of the sync; [`crate::Error::Unavailable`] after an earlier one.
    pub(crate) fn sync(&self, path: &Path, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut folders = self.lock();
        let turns = folders.entry(path.to_owned()).or_default();
        turns.callers += 1;
        // A sync that runs may have begun before the caller's change of the folder.
        let mine = turns.begun + 1;
        let mut sync = Some(sync);
        let synced = loop {
            let turns = folders.entry(path.to_owned()).or_default();
            if turns.ended >= mine {
                break Ok(());
            }
            if turns.is_running {
                folders = self.ended.wait(folders).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (Ok(()), Some(sync)) = (self.health.check(), sync.take()) else { break self.health.check() };
            turns.is_running = true;
            turns.begun += 1;
            let turn = turns.begun;
            drop(folders);
            let synced = sync();
            folders = self.lock();
            let turns = folders.entry(path.to_owned()).or_default();
            turns.is_running = false;
            match &synced {
                Ok(()) => turns.ended = turn,
                // The names that exist after a loss of power are unknown, and later callers sync only their own.
                Err(error) => self.health.fail("a sync of a folder", error.told()),
            }
            self.ended.notify_all();
            break synced;
        };
        if let Some(turns) = folders.get_mut(path) {
            turns.callers -= 1;
            if turns.callers == 0 {
                folders.remove(path);
            }
        }
        synced
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Turns>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    fn waiting(syncs: &FolderSyncs) -> usize {
        syncs.lock().values().map(|turns| turns.callers).sum()
    }

    /// One sync that is held up, and callers that come meanwhile. Returns the number of syncs and of failures.
    fn with_callers(first: Result<()>, callers: usize) -> (usize, usize) {
        let (syncs, count) = (FolderSyncs::new(Arc::default()), AtomicUsize::new(0));
        let path = Path::new("folder");
        let (go_on, held) = channel::<()>();
        let failures = std::thread::scope(|scope| {
            let (syncs, count) = (&syncs, &count);
            let mut threads = vec![scope.spawn(move || {
                syncs.sync(path, || {
                    held.recv().expect("a sign");
                    first
                })
            })];
            while waiting(syncs) < 1 || !syncs.lock().values().all(|turns| turns.is_running) {
                std::thread::yield_now();
            }
            threads.extend((0..callers).map(|_| {
                scope.spawn(move || {
                    syncs.sync(path, || {
                        count.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                })
            }));
            while waiting(syncs) < 1 + callers {
                std::thread::yield_now();
            }
            go_on.send(()).expect("a sync that waits");
            threads.into_iter().filter_map(|thread| thread.join().expect("no panic").err()).count()
        });
        assert!(syncs.lock().is_empty(), "nothing is kept of folders without callers");
        (count.load(Ordering::SeqCst), failures)
    }

    #[test]
    fn one_sync_serves_all_that_came_before_it_began() {
        assert_eq!(with_callers(Ok(()), 10), (1, 0));
    }

    #[test]
    fn after_a_failure_nothing_is_synced_again() {
        assert_eq!(with_callers(Err(Error::internal("EIO")), 10), (0, 11));
    }
}
