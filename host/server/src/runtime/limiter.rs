//! Limits the memories, tables and instances of one guest.
//!
//! Invariant: all linear memories of a guest together stay within `guest_memory`. wasmtime's own `StoreLimits` limits each
//! memory alone, so a component with eight memories would get eight times the limit.

use super::limits::{self, Limits};
use wasmtime::{ResourceLimiter, Result};

/// What one guest may still take.
pub(super) struct Limiter {
    /// Bytes that its memories may still grow by. A growth that the system refuses is not given back.
    memory: usize,
    limits: Limits,
}

impl Limiter {
    /// Creates the limiter of a new guest.
    pub(super) fn new(limits: &Limits) -> Limiter {
        Limiter { memory: limits.memory, limits: *limits }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.memory && maximum.is_none_or(|most| desired <= most);
        if fits {
            self.memory -= more;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS && maximum.is_none_or(|most| desired <= most))
    }

    fn instances(&self) -> usize {
        self.limits.core_instances as usize
    }

    fn memories(&self) -> usize {
        self.limits.memories as usize
    }

    fn tables(&self) -> usize {
        self.limits.tables as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memories_of_a_guest_share_its_limit() {
        let mut limiter = Limiter::new(&Limits { memory: 10, ..Limits::default() });
        assert!(limiter.memory_growing(0, 4, None).unwrap());
        assert!(limiter.memory_growing(0, 5, Some(5)).unwrap());
        assert!(!limiter.memory_growing(4, 6, None).unwrap(), "11 bytes of 10");
        assert!(!limiter.memory_growing(5, 6, Some(5)).unwrap(), "beyond the memory's own limit");
        assert!(limiter.memory_growing(4, 5, None).unwrap());
        assert!(!limiter.memory_growing(5, 6, None).unwrap());
    }
}
