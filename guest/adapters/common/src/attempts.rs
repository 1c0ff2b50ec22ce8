//! Random ids, the time, and attempts that are repeated while others write the same record.

use portico_guest::bindings::wasi::{
    clocks::{monotonic_clock, wall_clock},
    random::random::{get_random_bytes, get_random_u64},
};
use std::time::Duration;

/// Most attempts at one record. Each lost attempt means that another writer of the same record has won.
const ATTEMPTS: u32 = 100;

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Counts attempts at one record, with a random pause before each but the first two.
#[derive(Debug, Default)]
pub struct Attempts(u32);

impl Attempts {
    /// Begins one more attempt. Returns false if there were too many.
    pub fn begin(&mut self) -> bool {
        self.0 += 1;
        if self.0 > 2 {
            let most = PAUSE_MAX.min(Duration::from_millis(1 << self.0.min(6)));
            let nanoseconds = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
            monotonic_clock::subscribe_duration(get_random_u64() % nanoseconds).block();
        }
        self.0 <= ATTEMPTS
    }
}

/// Returns the wall clock's time in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1_000).saturating_add(u64::from(now.nanoseconds) / 1_000_000)
}

/// Returns 128 random bits in hexadecimal.
///
/// # Panics
/// If the host returns fewer bytes than asked for, which breaks its contract.
#[must_use]
pub fn random_id() -> String {
    let bytes = get_random_bytes(16).try_into().expect("as many bytes as asked for");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
