//! The part numbers of sessions that grow by appends.
//!
//! Append `e` is a part of level 0. A part of level `n` is the join of the 16^n appends that end with append `e`, where
//! `e + 1` is a multiple of 16^n. Numbers fall as sessions grow, so the first entry of a listing is the newest, and
//! finding the end of an upload takes one short listing, however many appends came before. Joins keep a listing short:
//! at most 15 parts of each level.
//!
//! A join and the parts that it was made of may exist side by side for a while, so a reader takes the highest level that
//! ends at an append, and skips what that covers.

/// Parts that are joined at a time.
pub(crate) const FAN: u32 = 16;

/// Bits of a part number that hold the level.
const LEVEL_BITS: u32 = 3;

/// Highest level: more appends than the part numbers of a session allow.
pub(crate) const LEVEL_MAX: u32 = (1 << LEVEL_BITS) - 1;

/// Most appends of a session.
pub(crate) const APPENDS_MAX: u32 = 1 << (u32::BITS - LEVEL_BITS);

/// Returns the part number of the part that ends with append `last`, at a level.
pub(crate) fn number(last: u32, level: u32) -> u32 {
    u32::MAX - ((last << LEVEL_BITS) | level)
}

/// Returns the last append of a part, and its level.
pub(crate) fn position(number: u32) -> (u32, u32) {
    let position = u32::MAX - number;
    (position >> LEVEL_BITS, position & LEVEL_MAX)
}

/// Returns the number of appends that a part of a level covers; `None` beyond the highest level.
pub(crate) fn covered(level: u32) -> Option<u32> {
    FAN.checked_pow(level).filter(|_| level <= LEVEL_MAX)
}

/// Walks a listing from the newest part to older ones, and picks the parts that make up the content.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The append that the next part has to end with. Absent before the first part.
    wanted: Option<u32>,
    done: bool,
}

/// What a part of a listing is to the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The part is the next piece of the content, from its end backwards.
    Take,
    /// A part that was taken before covers it.
    Skip,
    /// An append is missing.
    Gap,
}

impl Walk {
    /// Starts a walk at the part that ends with append `last`.
    pub(crate) fn from(last: u32) -> Walk {
        Walk { wanted: Some(last), done: false }
    }

    /// Looks at the next part of the listing.
    pub(crate) fn step(&mut self, part_number: u32) -> Step {
        let (last, level) = position(part_number);
        let wanted = *self.wanted.get_or_insert(last);
        if self.done || last > wanted {
            return Step::Skip;
        }
        match covered(level) {
            Some(count) if last == wanted && count <= last + 1 => {
                match (last + 1 - count).checked_sub(1) {
                    Some(before) => self.wanted = Some(before),
                    None => self.done = true,
                }
                Step::Take
            }
            _ => Step::Gap,
        }
    }

    /// Whether the walk has come to the first append.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the walk has taken everything from append `first` on.
    pub(crate) fn reaches(&self, first: u32) -> bool {
        self.done || self.wanted.is_some_and(|wanted| wanted < first)
    }
}

#[cfg(test)]
mod tests {
    use super::{APPENDS_MAX, FAN, LEVEL_MAX, Step, Walk, covered, number, position};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn newer_parts_and_higher_levels_come_first() {
        assert!(number(1, 0) < number(0, 0));
        assert!(number(15, 1) < number(15, 0));
        assert!(number(16, 0) < number(15, LEVEL_MAX));
        for (last, level) in [(0, 0), (15, 1), (255, 2), (APPENDS_MAX - 1, LEVEL_MAX)] {
            assert_eq!(position(number(last, level)), (last, level));
        }
        assert_eq!((covered(0), covered(1), covered(2)), (Some(1), Some(16), Some(256)));
        assert_eq!(covered(LEVEL_MAX), Some(1 << 28));
        assert_eq!(covered(LEVEL_MAX + 1), None);
    }

    #[test]
    fn a_missing_append_is_a_gap() {
        let mut walk = Walk::default();
        assert_eq!(walk.step(number(2, 0)), Step::Take);
        assert_eq!(walk.step(number(0, 0)), Step::Gap);
        // A level that reaches beyond the first append is no join of this scheme.
        assert_eq!(Walk::default().step(number(3, 1)), Step::Gap);
    }

    proptest! {
        /// Whatever was joined, and whichever of the joined parts still exist, the walk takes each append once.
        #[test]
        fn each_append_is_taken_once(
            count in 1_u32..700, joined in proptest::collection::vec(any::<bool>(), 64), left in any::<u64>(),
        ) {
            let mut parts: BTreeSet<u32> = (0..count).map(|last| number(last, 0)).collect();
            let mut joined = joined.into_iter().cycle();
            let mut left = left;
            for level in 1..=2 {
                let size = FAN.pow(level);
                for block in 0..count / size {
                    if !joined.next().unwrap() {
                        continue;
                    }
                    let (first, last) = (block * size, (block + 1) * size - 1);
                    parts.insert(number(last, level));
                    for append in first..=last {
                        for lower in 0..level {
                            left = left.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1;
                            if left & 3 != 0 {
                                parts.remove(&number(append, lower));
                            }
                        }
                    }
                }
            }
            let mut walk = Walk::default();
            let mut taken = 0;
            for part in &parts {
                match walk.step(*part) {
                    Step::Take => taken += covered(position(*part).1).unwrap(),
                    Step::Skip => {}
                    Step::Gap => prop_assert!(false, "a gap"),
                }
            }
            prop_assert!(walk.is_done());
            prop_assert_eq!(taken, count);
        }
    }
}
