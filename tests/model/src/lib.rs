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
mod world;

pub mod folder;
pub mod order;
pub mod strace;

pub use content::{Content, Stamp};
pub use faults::Faults;
pub use pairs::every_pair;
pub use run::{Settings, random};
pub use steps::every_step;
pub use truth::Truth;
pub use world::World;
