//! Opening a store, and its settings. Invariant: capabilities that the guarantees rest on are tested, not assumed.

pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod owner;
pub(crate) mod probe;
pub(crate) mod race;
