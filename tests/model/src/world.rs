//! A backend under test, as the model needs it.

use crate::faults::Faults;
use crate::truth::Truth;
use async_trait::async_trait;
use portico_store::Backend;
use std::sync::Arc;
use std::time::Duration;

/// A backend under test: how its hosts are opened, and how the store beneath its interface is inspected. Questions that
/// the contract leaves to backends with several hosts have default answers, those of a backend with one.
#[async_trait]
pub trait World: Send + Sync {
    /// The number of hosts that share the store.
    fn hosts(&self) -> usize {
        1
    }

    /// Whether an assembly makes its object and ends its parts in one act. Otherwise its parts end later, unless its
    /// host dies before, and another host may delete or use a part meanwhile.
    fn assembly_is_atomic(&self) -> bool {
        true
    }

    /// Waits until no host works in the background.
    async fn settle(&self) {}

    /// Whether `unavailable` says that nothing was done. Otherwise the operation may have been done.
    fn failures_are_certain(&self) -> bool {
        true
    }

    /// Whether opening a store repairs what an earlier life left, so that crashes of the opening are worth many trials.
    fn opening_repairs(&self) -> bool {
        true
    }

    /// Sizes in bytes at which the backend changes its behaviour, beside those of all backends.
    fn sizes(&self) -> &'static [usize] {
        &[]
    }

    /// The longest time of an operation that waits for no other.
    fn patience(&self) -> Duration {
        Duration::from_millis(60)
    }

    /// Opens a host on the store. The host calls [`Faults::step`] before and after each of its changes, and changes
    /// nothing more once that has returned true. An earlier value of the same host was dropped; its remaining work has
    /// ended when this returns.
    ///
    /// # Errors
    /// A line that says why the store can't be opened.
    async fn open(&self, host: usize, faults: &Arc<Faults>) -> Result<Arc<dyn Backend>, String>;

    /// Inspects the store beneath the interface, while one host is open and idle. Returns a line for each thing that
    /// should not exist, or is missing.
    async fn audit(&self, truth: &Truth) -> Vec<String>;
}
