//! Points of a store's work at which a test may end its life, or hold it up.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Called with the name of each step, before or after a change of the store; may block. Once it has returned true, the store
/// behaves as if its process had been killed at that step.
pub(crate) type Observer = Box<dyn Fn(&'static str) -> bool + Send + Sync>;

/// The steps of a store. Outside of tests nothing observes them.
#[derive(Default)]
pub(crate) struct Steps(Option<Observed>);

struct Observed {
    observer: Observer,
    is_killed: AtomicBool,
}

impl Steps {
    /// The steps of a store, with their observer in a test.
    pub(crate) fn new(observer: Option<Observer>) -> Self {
        Steps(observer.map(|observer| Observed { observer, is_killed: AtomicBool::new(false) }))
    }

    /// Reports a step.
    ///
    /// # Errors
    /// [`Error::Internal`] if a test has ended the store's life.
    pub(crate) fn step(&self, name: &'static str) -> Result<()> {
        let Some(Observed { observer, is_killed }) = &self.0 else { return Ok(()) };
        if is_killed.load(Ordering::Relaxed) || observer(name) {
            is_killed.store(true, Ordering::Relaxed);
            return Err(Error::internal("the store was killed by its test"));
        }
        Ok(())
    }
}
