//! Part sizes, offsets and numbers. Parts are numbered from 1; all have the same size except the last.

use crate::{limits::PARTS_MAX, settings::Settings};

/// Default part sizes that grow with the file are a multiple of this, in bytes.
const GRAIN: u64 = 1 << 20;

/// Why a part size is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPartSize {
    /// Below the smallest allowed size, which is the payload.
    Below(u64),
    /// Above the largest allowed size, which is the payload.
    Above(u64),
    /// The file would have more than [`PARTS_MAX`] parts. The payload is the smallest size that avoids this.
    Splits(u64),
}

/// Returns the part size of a file of `total` bytes: the client's choice, if it is within bounds. Without a choice, the
/// default, or more if the file would have too many parts.
pub(crate) fn part_size(total: u64, asked: Option<u64>, settings: &Settings) -> Result<u64, BadPartSize> {
    let least = total.div_ceil(PARTS_MAX.into());
    match asked {
        Some(size) if size < settings.part_size_min.max(1) => Err(BadPartSize::Below(settings.part_size_min.max(1))),
        Some(size) if size > settings.part_size_max => Err(BadPartSize::Above(settings.part_size_max)),
        Some(size) if size < least => Err(BadPartSize::Splits(least)),
        Some(size) => Ok(size),
        None if settings.part_size >= least.max(1) => Ok(settings.part_size),
        None => Ok(least.max(1).div_ceil(GRAIN) * GRAIN),
    }
}

/// A file of known length, cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Size of the file, in bytes.
    pub(crate) total: u64,
    /// Size of each part except the last, in bytes; not 0.
    pub(crate) part_size: u64,
}

/// The position of a part in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first byte.
    pub(crate) offset: u64,
    /// The size in bytes.
    pub(crate) size: u64,
}

impl Layout {
    /// Returns the number of parts; 0 for an empty file.
    pub(crate) fn parts(self) -> u32 {
        u32::try_from(self.total.div_ceil(self.part_size)).unwrap_or(u32::MAX)
    }

    /// Returns the position of part `number`; `None` if the file has no such part.
    pub(crate) fn extent(self, number: u32) -> Option<Extent> {
        if !(1..=self.parts()).contains(&number) {
            return None;
        }
        let offset = u64::from(number - 1) * self.part_size;
        Some(Extent { offset, size: self.part_size.min(self.total - offset) })
    }
}

/// A run of consecutive part numbers, both ends included.
pub(crate) type Run = [u32; 2];

/// Groups ascending numbers into runs.
pub(crate) fn runs(numbers: impl IntoIterator<Item = u32>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some([_, last]) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push([number, number]),
        }
    }
    runs
}

/// Returns the numbers from 1 to `count` that are in none of the runs.
pub(crate) fn gaps(runs: &[Run], count: u32) -> Vec<Run> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for &[first, last] in runs {
        if first > next {
            gaps.push([next, first - 1]);
        }
        next = last.saturating_add(1);
    }
    if next <= count {
        gaps.push([next, count]);
    }
    gaps
}

/// Parses a path segment: decimal digits without sign, fraction or leading zeros.
pub(crate) fn number(segment: &str) -> Option<u32> {
    let plain = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) && !segment.starts_with('0');
    segment.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::{BadPartSize, Extent, Layout, gaps, number, part_size, runs};
    use crate::{limits::PARTS_MAX, settings::Settings};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MIB: u64 = 1 << 20;

    #[test]
    fn sizes_that_are_asked_for_are_taken_or_refused() {
        let settings = Settings { part_size_min: 10, part_size_max: 100, ..Settings::default() };
        for (total, asked, size) in [
            (0, 10, Ok(10)),
            (5, 100, Ok(100)),
            (5, 9, Err(BadPartSize::Below(10))),
            (5, 0, Err(BadPartSize::Below(10))),
            (5, 101, Err(BadPartSize::Above(100))),
            (5, u64::MAX, Err(BadPartSize::Above(100))),
            (10 * u64::from(PARTS_MAX), 10, Ok(10)),
            (10 * u64::from(PARTS_MAX) + 1, 10, Err(BadPartSize::Splits(11))),
        ] {
            assert_eq!(part_size(total, Some(asked), &settings), size, "{total} {asked}");
        }
    }

    #[test]
    fn the_default_grows_with_the_file() {
        let settings = Settings::default();
        for (total, size) in [(0, 5), (1, 5), (50_000 * MIB, 5), (50_001 * MIB, 6), (5 << 40, 525)] {
            assert_eq!(part_size(total, None, &settings), Ok(size * MIB), "{total}");
        }
        let small = Settings { part_size: 1_000, ..settings };
        for (total, size) in [(0, 1_000), (1, 1_000), (10_000_000, 1_000), (10_000_001, MIB)] {
            assert_eq!(part_size(total, None, &small), Ok(size), "{total}");
        }
    }

    #[test]
    fn an_empty_file_has_no_part() {
        let empty = Layout { total: 0, part_size: 5 };
        assert_eq!((empty.parts(), empty.extent(1)), (0, None));
        assert!(gaps(&[], 0).is_empty());
    }

    #[test]
    fn numbers_are_plain() {
        for (segment, value) in [("1", 1), ("10000", 10_000), ("4294967295", u32::MAX)] {
            assert_eq!(number(segment), Some(value));
        }
        for segment in ["", "0", "-1", "+1", "01", "1.0", "1e3", "4294967296", " 1", "1 ", "one", "١", "%31"] {
            assert_eq!(number(segment), None, "{segment}");
        }
    }

    proptest! {
        #[test]
        fn parts_cover_the_file_once(total in 0_u64..10_000, size in 1_u64..200) {
            let layout = Layout { total, part_size: size };
            let mut end = 0;
            for number in 1..=layout.parts() {
                let Extent { offset, size } = layout.extent(number).unwrap();
                prop_assert_eq!(offset, end);
                prop_assert!(size > 0 && size <= layout.part_size);
                end += size;
            }
            prop_assert_eq!(end, total);
            prop_assert_eq!(layout.extent(0), None);
            prop_assert_eq!(layout.extent(layout.parts() + 1), None);
        }

        #[test]
        fn whatever_size_is_chosen_the_parts_are_few_enough(total in 0..i64::MAX as u64, asked: Option<u64>) {
            if let Ok(part_size) = part_size(total, asked, &Settings::default()) {
                let parts = Layout { total, part_size }.parts();
                prop_assert!(parts <= PARTS_MAX);
                prop_assert!(asked.is_none_or(|asked| asked == part_size));
            }
        }

        #[test]
        fn runs_and_gaps_are_each_other_s_rest(numbers in proptest::collection::btree_set(1_u32..60, 0..40)) {
            let there = runs(numbers.iter().copied());
            let missing = gaps(&there, 59);
            let flat = |runs: &[[u32; 2]]| runs.iter().flat_map(|[first, last]| *first..=*last).collect::<Vec<_>>();
            prop_assert_eq!(flat(&there), numbers.iter().copied().collect::<Vec<_>>());
            let rest: BTreeSet<u32> = (1..60).filter(|number| !numbers.contains(number)).collect();
            prop_assert_eq!(flat(&missing), rest.into_iter().collect::<Vec<_>>());
            prop_assert!(there.windows(2).all(|pair| pair[0][1] + 1 < pair[1][0]));
        }
    }
}
