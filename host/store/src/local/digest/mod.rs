//! The digest of the whole, from part to part.

pub(crate) mod catch_up;
pub(crate) mod chain;
