//! Plans an assembly: the pieces of a new multipart object from existing objects.
//!
//! Invariant: the pieces of a plan, in sequence, are the sources in their order, each byte once.
//!
//! A plan is made in three steps, in at most a few dozen linear passes:
//!
//! 1. [`copying`] divides the sources into stretches that the store copies and stretches that are streamed through this
//!    host. It streams as few bytes as one look ahead can tell.
//! 2. If that needs too many pieces, [`merge`] joins neighbours into streamed stretches, shorter copies first, until
//!    the pieces suffice.
//! 3. Each stretch is cut evenly into pieces. Streamed pieces exceed the preferred size only if there would otherwise
//!    be too many.
//!
//! If pieces are not scarce, this much is streamed: a run of sources shorter than `piece_min` is streamed itself. If
//! the run is too short for a piece, the head of the next source (less than `piece_min`) or all of it (less than twice
//! `piece_min`) is streamed too. The total is less than twice that of the best plan, and nothing where the best plan
//! streams nothing. If pieces are scarce no such factor holds; each merge then saves at least one piece.

use std::collections::VecDeque;
use std::iter::successors;
use std::mem::take;

#[cfg(test)]
mod tests;

/// The limits of a plan. Amazon S3: 10,000 pieces of 5 MiB to 5 GiB, the last of any length; 5 TiB in all.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Shortest piece except the last, at least 1 byte.
    pub(crate) piece_min: u64,
    /// Longest copied piece, at least twice `piece_min`.
    pub(crate) copy_max: u64,
    /// Most pieces.
    pub(crate) pieces_max: u64,
    /// Preferred length of a streamed piece. Where a run cannot be cut that way a piece has up to twice `piece_min`.
    pub(crate) merge: usize,
    /// Longest streamed piece, at least twice `piece_min`.
    pub(crate) stream_max: u64,
    /// Whether the store can copy ranges. If not, everything is streamed.
    pub(crate) can_copy: bool,
}

/// A piece of the new multipart upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlannedPiece {
    /// A range of one source, which the store copies.
    Copy { source: usize, start: u64, end: u64 },
    /// Ranges that are read through this host and sent as one piece.
    Stream(Vec<SourceRange>),
}

/// A half-open range of a source, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceRange {
    pub(crate) source: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The sources do not fit in the permitted pieces, not even if all were streamed in the longest pieces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sources of {total} bytes do not fit in {pieces_max} pieces")]
pub(crate) struct TooMany {
    pub(crate) total: u64,
    pub(crate) pieces_max: u64,
}

/// Plans an object that consists of sources of these sizes. Empty sources are no part of a plan, and an empty plan has
/// no pieces.
///
/// # Panics
/// If `limits` contradict their documentation: some runs then cannot be cut into pieces.
pub(crate) fn plan(sizes: &[u64], limits: &Limits) -> Result<Vec<PlannedPiece>, TooMany> {
    let Limits { piece_min, copy_max, pieces_max, stream_max, .. } = *limits;
    assert!(piece_min >= 1 && copy_max / 2 >= piece_min && stream_max / 2 >= piece_min, "{limits:?}");
    let total = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let too_many = TooMany { total, pieces_max };
    if total == u64::MAX {
        return Err(too_many);
    }

    let mut stretches = if limits.can_copy { copying(sizes, piece_min) } else { streaming(sizes) };
    // The last pass reaches everything: the result needs no more pieces than streaming everything.
    for reach in successors(Some(2 * piece_min), |reach| (*reach < total).then(|| reach.saturating_mul(2))) {
        let excess = count(&stretches, stream_max, limits).saturating_sub(pieces_max);
        if excess == 0 {
            break;
        }
        stretches = merge(stretches, reach, excess, limits);
    }
    if count(&stretches, stream_max, limits) > pieces_max {
        return Err(too_many);
    }

    let mut length = (limits.merge as u64).clamp(piece_min, stream_max);
    while count(&stretches, length, limits) > pieces_max {
        length = (length + length / 8 + 1).min(stream_max);
    }
    let mut pieces = Vec::new();
    for stretch in stretches {
        let count = stretch.count(length, limits);
        stretch.cut(count, &mut pieces);
    }
    Ok(pieces)
}

/// Adjacent bytes of the object that are all copied or all streamed, not yet cut into pieces. All stretches except the
/// last of the object have at least `piece_min` bytes.
#[derive(Default)]
struct Stretch {
    /// One range, if `copied`.
    ranges: Vec<SourceRange>,
    length: u64,
    copied: bool,
}

impl Stretch {
    /// Appends a range, which may be empty.
    fn push(&mut self, range: SourceRange) {
        self.length += range.end - range.start;
        match self.ranges.last_mut() {
            _ if range.start == range.end => {}
            Some(last) if last.source == range.source && last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// Returns the number of pieces if streamed ones have at most `length` bytes.
    ///
    /// Twice `piece_min` is at most `copy_max` and `stream_max`, so even pieces are never too short because of their
    /// number, and never too long.
    fn count(&self, length: u64, limits: &Limits) -> u64 {
        if self.copied {
            self.length.div_ceil(limits.copy_max)
        } else {
            self.length.div_ceil(length).min(self.length / limits.piece_min).max(1)
        }
    }

    /// Cuts the stretch into `count` pieces whose sizes differ by at most a byte.
    fn cut(self, count: u64, pieces: &mut Vec<PlannedPiece>) {
        let mut ranges = VecDeque::from(self.ranges);
        for number in 0..count {
            let mut missing = self.length / count + u64::from(number < self.length % count);
            let mut piece = Vec::new();
            while let Some(range) = ranges.front_mut().filter(|_| missing > 0) {
                let SourceRange { source, start, end } = *range;
                let cut = end.min(start + missing);
                piece.push(SourceRange { source, start, end: cut });
                missing -= cut - start;
                range.start = cut;
                if cut == end {
                    ranges.pop_front();
                }
            }
            pieces.push(match piece[..] {
                [SourceRange { source, start, end }] if self.copied => PlannedPiece::Copy { source, start, end },
                _ => PlannedPiece::Stream(piece),
            });
        }
    }
}

/// Returns the number of pieces if streamed ones have at most `length` bytes.
fn count(stretches: &[Stretch], length: u64, limits: &Limits) -> u64 {
    stretches.iter().map(|stretch| stretch.count(length, limits)).sum()
}

/// Returns one streamed stretch of everything.
fn streaming(sizes: &[u64]) -> Vec<Stretch> {
    let mut all = Stretch::default();
    for (source, size) in sizes.iter().enumerate() {
        all.push(SourceRange { source, start: 0, end: *size });
    }
    if all.length > 0 { vec![all] } else { Vec::new() }
}

/// Copies what can be copied.
///
/// A run of sources that are too short for a piece is streamed. If the run itself is too short, it gets the lacking
/// bytes from the head of the next source, or all of that source if its rest would be too short to be copied. If the
/// run lacks nothing, the next source is copied whole.
fn copying(sizes: &[u64], piece_min: u64) -> Vec<Stretch> {
    let last = sizes.iter().rposition(|size| *size > 0);
    let mut stretches = Vec::new();
    let mut run = Stretch::default();
    for (source, &size) in sizes.iter().enumerate().filter(|(_, size)| **size > 0) {
        let lacking = if run.length == 0 { 0 } else { piece_min.saturating_sub(run.length) };
        let rest = size.saturating_sub(lacking);
        if rest >= piece_min || (rest > 0 && Some(source) == last) {
            run.push(SourceRange { source, start: 0, end: lacking });
            if run.length > 0 {
                stretches.push(take(&mut run));
            }
            let ranges = vec![SourceRange { source, start: lacking, end: size }];
            stretches.push(Stretch { ranges, length: rest, copied: true });
        } else {
            run.push(SourceRange { source, start: 0, end: size });
        }
    }
    if run.length > 0 {
        stretches.push(run);
    }
    stretches
}

/// Saves up to `excess` pieces by joining neighbours into one streamed stretch.
///
/// Neighbours are stretches that are streamed already, and copies of at most `reach` bytes. Of each group the shortest
/// beginning that saves enough, or the most, is joined. A group that would save nothing stays unchanged.
fn merge(mut stretches: Vec<Stretch>, reach: u64, mut excess: u64, limits: &Limits) -> Vec<Stretch> {
    let near = |stretch: &Stretch| !stretch.copied || stretch.length <= reach;
    let mut merged = Vec::new();
    for group in stretches.chunk_by_mut(|left, right| near(left) && near(right)) {
        let (mut apart, mut length) = (0, 0);
        let (mut joined, mut saved) = (0, 0);
        for (index, stretch) in group.iter().enumerate() {
            if saved >= excess {
                break;
            }
            apart += stretch.count(limits.stream_max, limits);
            length += stretch.length;
            let saves = apart.saturating_sub(length.div_ceil(limits.stream_max));
            if saves > saved {
                (joined, saved) = (index + 1, saves);
            }
        }
        excess -= saved.min(excess);
        let (beginning, end) = group.split_at_mut(joined);
        if joined > 0 {
            let mut stretch = Stretch::default();
            beginning.iter().flat_map(|stretch| &stretch.ranges).for_each(|range| stretch.push(*range));
            merged.push(stretch);
        }
        merged.extend(end.iter_mut().map(take));
    }
    merged
}
