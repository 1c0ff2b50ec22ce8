//! Opening a store, and what an operator can choose. Invariant: what the guarantees rest on is tried, not believed.

pub(crate) mod error;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod owner;
pub(crate) mod probe;
pub(crate) mod race;
