//! Steps of a store that block until they are released.

use portico_store::local::{LocalOptions, LocalStore};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The longest time of anything that must end by itself.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A step of a store that blocks its caller.
#[derive(Default)]
pub(crate) struct Hold {
    taken: AtomicUsize,
    held: Mutex<Option<bool>>,
    changed: Condvar,
}

impl Hold {
    /// A store that blocks at its n-th read, counted from 0.
    pub(crate) async fn at_read(path: &Path, at: usize) -> (LocalStore, Arc<Hold>) {
        Hold::open(path, "read", at, LocalOptions::default()).await
    }

    /// A store that blocks at the n-th occurrence of a step, counted from 0.
    pub(crate) async fn open(
        path: &Path,
        held: &'static str,
        at: usize,
        options: LocalOptions,
    ) -> (LocalStore, Arc<Hold>) {
        let hold = Arc::new(Hold::default());
        let here = hold.clone();
        let fault = move |step: &'static str| {
            if step == held && here.taken.fetch_add(1, Ordering::SeqCst) == at {
                let mut held = here.held.lock().unwrap();
                *held = Some(true);
                here.changed.notify_all();
                drop(here.changed.wait_timeout_while(held, SOON, |held| *held == Some(true)).unwrap());
            }
            false
        };
        let options = LocalOptions { lock_wait: SOON, ..options };
        (LocalStore::open_with_fault(path, options, fault).await.expect("a store"), hold)
    }

    /// Waits until a caller is blocked.
    pub(crate) async fn reached(self: &Arc<Self>) {
        let here = self.clone();
        let reached = tokio::task::spawn_blocking(move || {
            let held = here.held.lock().unwrap();
            here.changed.wait_timeout_while(held, SOON, |held| held.is_none()).unwrap().0.is_some()
        });
        assert!(reached.await.unwrap(), "nobody comes there");
    }

    pub(crate) fn release(&self) {
        *self.held.lock().unwrap() = Some(false);
        self.changed.notify_all();
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}
