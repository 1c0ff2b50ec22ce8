//! The SHA-256 of a whole object, from part to part. Invariant: an operation can do without it, and never waits for the
//! background.

pub(crate) mod board;
pub(crate) mod catch_up;
pub(crate) mod chain;
