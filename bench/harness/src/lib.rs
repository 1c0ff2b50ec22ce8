//! What all comparisons share: content, a client, uploads, server processes, statistics and the table.
//!
//! Invariant: both sides of a comparison get the same bytes from the same client, in the same run, turn by turn; what
//! they stored is checked before its time counts.

pub mod client;
pub mod content;
pub mod process;
pub mod report;
pub mod turns;
pub mod uploads;

/// Why a measurement could not be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A measurement, or why it could not be made.
pub type Result<T> = std::result::Result<T, Error>;

/// A mebibyte.
pub const MIB: u64 = 1 << 20;
