//! Slots: the small objects that decide. Invariant: a slot changes only by a conditional write.

pub(crate) mod cache;
pub(crate) mod found;
pub(crate) mod receipt;
pub(crate) mod slot;
