//! Slots: the small objects that decide. Invariant: a slot is written only if absent or unchanged.

pub(crate) mod cache;
pub(crate) mod found;
pub(crate) mod receipt;
pub(crate) mod slot;
