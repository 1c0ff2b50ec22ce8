//! What all comparisons share: content, a client, server processes, statistics and the table.
//!
//! Invariant: both sides of a comparison get the same bytes from the same client, in the same run, turn by turn; what
//! they stored is checked before its time counts.

pub(crate) mod client;
pub(crate) mod content;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod turns;

/// Why a measurement could not be made.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A measurement, or why it could not be made.
pub(crate) type Result<T> = std::result::Result<T, Error>;

pub(crate) const MIB: u64 = 1 << 20;
