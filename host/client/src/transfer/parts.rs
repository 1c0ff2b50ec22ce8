//! Which parts of a file have arrived, which are on their way, and which wait. Nothing here asks anybody.

use std::collections::BTreeSet;
use std::ops::Range;

/// A file cut into parts, numbered from 1, and how each stands.
pub(crate) struct Parts {
    size: u64,
    part_size: u64,
    count: u32,
    waiting: BTreeSet<u32>,
    there: BTreeSet<u32>,
    /// All parts before this one have arrived.
    frontier: u32,
}

impl Parts {
    /// A file of `size` bytes in `count` parts of `part_size` bytes, of which these runs have arrived.
    pub(crate) fn new(size: u64, part_size: u64, count: u32, arrived: &[[u32; 2]]) -> Parts {
        let mut parts =
            Parts { size, part_size, count, waiting: (1..=count).collect(), there: BTreeSet::new(), frontier: 1 };
        for number in arrived.iter().flat_map(|[first, last]| *first..=*last) {
            parts.arrived(number);
        }
        parts
    }

    /// The next part to be sent, in the order of the file, which is how the server hashes it; it is on its way then.
    pub(crate) fn take(&mut self) -> Option<u32> {
        self.waiting.pop_first()
    }

    /// A part has arrived.
    pub(crate) fn arrived(&mut self, number: u32) {
        self.waiting.remove(&number);
        self.there.insert(number);
        // Only what is beyond the frontier need be remembered.
        while self.there.remove(&self.frontier) {
            self.frontier += 1;
        }
    }

    /// Parts that the server turned out not to have wait again.
    pub(crate) fn lost(&mut self, arrived: &[[u32; 2]]) {
        let size = self.size;
        *self = Parts::new(size, self.part_size, self.count, arrived);
    }

    /// Bytes of the parts that have arrived.
    pub(crate) fn bytes(&self) -> u64 {
        let before = (u64::from(self.frontier - 1) * self.part_size).min(self.size);
        before + self.there.iter().map(|number| self.length(*number)).sum::<u64>()
    }

    /// All parts before this one have arrived.
    pub(crate) fn frontier(&self) -> u32 {
        self.frontier
    }

    /// Where a part lies in the file.
    pub(crate) fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number - 1) * self.part_size;
        start..self.size.min(start + self.part_size)
    }

    fn length(&self, number: u32) -> u64 {
        let range = self.range(number);
        range.end - range.start
    }
}

/// Whether runs of numbers have this one.
pub(crate) fn contains(runs: &[[u32; 2]], number: u32) -> bool {
    runs.iter().any(|[first, last]| (*first..=*last).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_is_never_taken() {
        let mut parts = Parts::new(95, 10, 10, &[[1, 2], [5, 5], [10, 10]]);
        assert_eq!((parts.bytes(), parts.frontier()), (35, 3));
        assert_eq!((parts.take(), parts.take()), (Some(3), Some(4)));
        // Out of order, and one of which another process has seen to.
        parts.arrived(4);
        parts.arrived(7);
        assert_eq!((parts.bytes(), parts.frontier()), (55, 3));
        parts.arrived(3);
        assert_eq!((parts.bytes(), parts.frontier()), (65, 6));
        let rest: Vec<u32> = std::iter::from_fn(|| parts.take()).collect();
        assert_eq!(rest, [6, 8, 9]);
        rest.into_iter().for_each(|number| parts.arrived(number));
        assert_eq!((parts.bytes(), parts.frontier()), (95, 11));
    }

    #[test]
    fn the_last_part_is_what_is_left() {
        let parts = Parts::new(95, 10, 10, &[]);
        assert_eq!((parts.range(1), parts.range(10)), (0..10, 90..95));
        let none = &mut Parts::new(0, 10, 0, &[]);
        assert_eq!((none.take(), none.bytes(), none.frontier()), (None, 0, 1));
    }

    #[test]
    fn what_the_server_lost_waits_again() {
        let mut parts = Parts::new(30, 10, 3, &[]);
        while let Some(number) = parts.take() {
            parts.arrived(number);
        }
        parts.lost(&[[1, 1], [3, 3]]);
        assert_eq!((parts.bytes(), parts.frontier(), parts.take(), parts.take()), (20, 2, Some(2), None));
    }

    #[test]
    fn runs_have_their_ends() {
        let runs = [[2, 3], [5, 5]];
        let had: Vec<u32> = (0..7).filter(|number| contains(&runs, *number)).collect();
        assert_eq!(had, [2, 3, 5]);
    }
}
