//! Attempts that are repeated while others write the same record.

use portico_guest::{clock, random};
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
            let number = random::bytes(4).iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
            clock::sleep(most.mul_f64(f64::from(number) / f64::from(u32::MAX)));
        }
        self.0 <= ATTEMPTS
    }
}
