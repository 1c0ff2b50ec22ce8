//! The sizes that an app can drive, and the times of the round.

/// Longest name of a container or object, in bytes. Its record has at most 64 KiB.
pub(crate) const NAME_MAX: usize = 32 << 10;

/// Names that one call of `read-stream-object-names` returns at most.
pub(crate) const NAMES_MAX: u32 = 1_000;

/// Bytes of names after which one call of `read-stream-object-names` returns no more.
pub(crate) const NAMES_BYTES: usize = 1 << 20;

/// Most bytes that `incoming-value-consume-sync` returns. The bytes are in the memory of the adapter and of the app, and both
/// share the memory of one guest.
pub(crate) const SYNC_MAX: u64 = 16 << 20;

/// Age at which the round takes the operation behind a note for dead, in milliseconds. An operation that is slower fails, and
/// leaves nothing.
pub(crate) const DEAD_AFTER_MS: u64 = 60 * 60 * 1_000;

/// Age at which the round forgets the id of deleted content, in milliseconds. Ids are random, so no id is used again.
pub(crate) const FORGET_AFTER_MS: u64 = 60 * 60 * 1_000;

/// Notes or objects that the round handles between two looks at the clock.
pub(crate) const ROUND_PAGE: u32 = 50;
