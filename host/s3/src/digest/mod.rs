//! The SHA-256 of a whole object, from part to part. Invariant: no operation waits for it, and each can do without it.

pub(crate) mod board;
pub(crate) mod catch_up;
pub(crate) mod chain;
