//! Bounds of settings and caps of memory, time and width. Invariant: opening a store and reading a configuration use the same
//! checks.

use crate::{GRACE_MIN, PART_SIZE_MIN, S3Options};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Most pieces of one upload in flight.
pub const CONCURRENCY_MAX: usize = 64;

/// Least memory of all uploads, in bytes: two pieces of arriving memory, and two of piece memory.
pub const MEMORY_MIN: usize = 4 * PART_SIZE_MIN;

/// Most memory of all uploads, in bytes: half of it is counted in 32 bits.
pub const MEMORY_MAX: usize = 4 << 30;

/// Largest piece, in bytes: half of the memory.
pub const PART_SIZE_MAX: usize = MEMORY_MAX / 2;

/// Longest time limit of a request. Some requests may take ten times as long.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest stall of a client whose upload holds memory that one other upload waits for. The limit shrinks with the
/// number of waiters: otherwise the last waiter waits this long for each few stalled clients before it.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// Shortest limit for a stall, however many uploads wait.
pub(crate) const STALL_MIN: Duration = Duration::from_millis(500);

/// Number of waiters that halves the limit.
pub(crate) const STALL_HALVES_AT: u32 = 4;

/// Number of pieces, of content of unknown length, after which the piece size doubles.
pub(crate) const PIECES_OF_A_SIZE: u64 = 1_000;

/// Longest frame of content that is passed straight on, in bytes. One frame waits while another is being sent.
pub(crate) const STRAIGHT_FRAME_MAX: usize = 64 << 10;

/// Most cached slots, of about 500 bytes each.
pub(crate) const CACHED_SLOTS_MAX: usize = 16_384;

/// Most hash states of one session on the digest board, of about 150 bytes each.
pub(crate) const BOARD_STATES_MAX: usize = 64;

/// Memory of a download by the background hasher, in bytes.
pub(crate) const DOWNLOAD_MEMORY: usize = 1 << 20;

/// Copies of an assembly in flight, for each piece that an upload may have in flight: a copy moves nothing through this
/// host.
pub(crate) const COPIES_PER_PIECE: usize = 4;

/// Most objects that a verification reads at once.
pub(crate) const VERIFY_READS: usize = 4;

/// Most bytes of a join. S3 assembles parts of 5 MiB and more without reading them; sixteen of them are this much.
pub(crate) const MAX_JOIN_SIZE: u64 = 80 << 20;

/// Most foreign names in the report of a sweep.
pub(crate) const FOREIGN_MAX: usize = 100;

/// A setting with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct BadSetting {
    /// The setting, named as the field of [`S3Options`].
    pub setting: &'static str,
    /// The values that are valid.
    pub reason: String,
}

impl S3Options {
    /// Checks each setting, and the settings against each other. Sends no request.
    ///
    /// # Errors
    /// The first invalid setting.
    pub fn check(&self) -> Result<(), BadSetting> {
        let parts = PART_SIZE_MIN..=PART_SIZE_MAX;
        within("part_size", self.part_size, parts, bytes)?;
        let memory = MEMORY_MIN.max(2 * self.part_size)..=MEMORY_MAX;
        let of_parts = format!(", and at least twice the part size of {}", bytes(self.part_size));
        within("memory", self.memory, memory, bytes)
            .map_err(|bad| BadSetting { reason: bad.reason + &of_parts, ..bad })?;
        within("concurrency", self.concurrency, 1..=CONCURRENCY_MAX, |count| count)?;
        let shortest = Duration::from_millis(1);
        within("timeout", self.timeout, shortest..=TIMEOUT_MAX, |time| format!("{} ms", time.as_millis()))?;
        if self.grace < GRACE_MIN {
            let reason = format!("must be at least {} minutes", GRACE_MIN.as_secs() / 60);
            return Err(BadSetting { setting: "grace", reason });
        }
        Ok(())
    }
}

fn within<T: PartialOrd + Copy, D: Display>(
    setting: &'static str,
    value: T,
    range: RangeInclusive<T>,
    show: impl Fn(T) -> D,
) -> Result<(), BadSetting> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(BadSetting { setting, reason: format!("must be from {} to {}", show(*range.start()), show(*range.end())) })
}

/// Formats a number of bytes for a person.
fn bytes(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    #[test]
    fn each_setting_has_its_bounds() {
        let options = S3Options::new(Location::parse("bucket").unwrap());
        let (hour, ms) = (Duration::from_secs(60 * 60), Duration::from_millis(1));
        for good in [
            options.clone(),
            S3Options { part_size: PART_SIZE_MIN, memory: MEMORY_MIN, ..options.clone() },
            S3Options { part_size: PART_SIZE_MAX, memory: MEMORY_MAX, ..options.clone() },
            S3Options { concurrency: 1, timeout: ms, grace: GRACE_MIN, ..options.clone() },
            S3Options { concurrency: CONCURRENCY_MAX, timeout: TIMEOUT_MAX, ..options.clone() },
        ] {
            assert_eq!(good.check(), Ok(()));
        }
        for (bad, line) in [
            (S3Options { part_size: PART_SIZE_MIN - 1, ..options.clone() }, "part_size: must be from 5MiB to 2048MiB"),
            (S3Options { part_size: PART_SIZE_MAX + 1, ..options.clone() }, "part_size: must be from 5MiB to 2048MiB"),
            (
                S3Options { memory: 16 << 20, ..options.clone() },
                "memory: must be from 20MiB to 4096MiB, and at least twice the part size of 8MiB",
            ),
            (
                S3Options { part_size: 40 << 20, ..options.clone() },
                "memory: must be from 80MiB to 4096MiB, and at least twice the part size of 40MiB",
            ),
            (
                S3Options { memory: MEMORY_MAX + 1, ..options.clone() },
                "memory: must be from 20MiB to 4096MiB, and at least twice the part size of 8MiB",
            ),
            (S3Options { concurrency: 0, ..options.clone() }, "concurrency: must be from 1 to 64"),
            (S3Options { concurrency: CONCURRENCY_MAX + 1, ..options.clone() }, "concurrency: must be from 1 to 64"),
            (S3Options { timeout: Duration::ZERO, ..options.clone() }, "timeout: must be from 1 ms to 86400000 ms"),
            (S3Options { timeout: 25 * hour, ..options.clone() }, "timeout: must be from 1 ms to 86400000 ms"),
            (S3Options { grace: GRACE_MIN - ms, ..options.clone() }, "grace: must be at least 30 minutes"),
            // A sole process has the same bound: requests of a killed predecessor may still arrive.
            (
                S3Options { grace: GRACE_MIN - ms, single_runner: true, ..options.clone() },
                "grace: must be at least 30 minutes",
            ),
        ] {
            assert_eq!(bad.check().map_err(|bad| bad.to_string()), Err(line.to_owned()));
        }
    }
}
