//! The model of the existence protocol, over any backend.
//!
//! Tasks do operations on few names at once, some of which are abandoned half-way, until the hosts have done enough or
//! die at a random step. The store is opened again, and then must hold:
//!
//! 1. **One order.** For each part number, file id and record there is an order of all operations, in agreement with
//!    the order in which they were called and answered, in which each answer is the one that the contract gives
//!    (`spec.rs`). An operation that never answered has its whole effect at one point of that order, or none. The state
//!    found at the end is that order's last.
//! 2. From this follows: an id has one end, a receipt or a tombstone, for ever; what was acknowledged is there after
//!    any crash; of racing writers one wins; a conflict is answered only where something else is.
//! 3. **Whole content.** Each stream yields exactly the content that the writer of its receipt sent.
//! 4. **Parts go with the decision.** An assembly that never answered has used up parts only if its object came to
//!    exist.
//! 5. **Listings tell the truth**, whatever the length of their pages.
//! 6. **Tokens and versions** of different writes differ.
//! 7. **Nothing is left behind.** After the reopening nothing lies beneath the interface but what belongs to what is
//!    there ([`World::audit`]).
//!
//! Beside these random histories ([`random`]) each operation is tried alone, with a crash at each of its steps
//! ([`every_step`]), and each pair of them, the first of which is held up at each of its steps ([`every_pair`]).
//!
//! A backend joins with a [`World`] and a test for each of the three, in one file of its own crate.

mod cases;
mod check;
mod content;
mod faults;
mod history;
mod linear;
mod names;
mod ops;
mod pairs;
mod parallel;
mod perform;
mod run;
mod spec;
mod steps;
mod truth;

pub mod folder;
pub mod order;
pub mod strace;

pub use content::{Content, Stamp};
pub use faults::Faults;
pub use pairs::every_pair;
pub use run::{Settings, random};
pub use steps::every_step;
pub use truth::Truth;

use async_trait::async_trait;
use portico_store::Backend;
use std::sync::Arc;
use std::time::Duration;

/// What the model needs to know of a backend: how its hosts are opened, and how one looks beneath its interface. What the
/// contract leaves to a backend with several hosts is a question with an answer here, which is that of a backend that has
/// one.
#[async_trait]
pub trait World: Send + Sync {
    /// How many hosts share the store.
    fn hosts(&self) -> usize {
        1
    }

    /// Whether an assembly makes its object and ends its parts in one act. Where it does not, its parts end later, unless its
    /// host dies before, and another host may delete a part, or use it too, while it is being used.
    fn assembly_is_atomic(&self) -> bool {
        true
    }

    /// Waits until nothing goes on in the background of hosts.
    async fn settle(&self) {}

    /// Whether `unavailable` says that nothing was done. Where it does not, the operation may have been done.
    fn failures_are_certain(&self) -> bool {
        true
    }

    /// Whether opening a store changes what an earlier life left in it, so that crashes of it are worth many trials.
    fn opening_repairs(&self) -> bool {
        true
    }

    /// Sizes in bytes at which the backend begins to do something else, to be tried beside those of all backends.
    fn sizes(&self) -> &'static [usize] {
        &[]
    }

    /// How long an operation takes at most that waits for nobody.
    fn patience(&self) -> Duration {
        Duration::from_millis(60)
    }

    /// Opens a host on the store. It asks [`Faults::step`] before and after each thing that it changes, and once that
    /// has answered true, it changes nothing any more. An earlier value of the same host has been dropped; what may
    /// still go on of it has ended when this answers.
    ///
    /// # Errors
    /// A line that tells why the store can't be opened.
    async fn open(&self, host: usize, faults: &Arc<Faults>) -> Result<Arc<dyn Backend>, String>;

    /// Looks beneath the interface, while one host is open and nothing runs. Answers a line for each thing that is
    /// there and should not be, or the other way round.
    async fn audit(&self, truth: &Truth) -> Vec<String>;
}
