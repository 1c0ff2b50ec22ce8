//! The plan of an assembly: how the pieces of a new multipart object come from objects that are there.
//!
//! Invariant: the pieces of a plan, one after another, are the sources in their order, each byte once.
//!
//! A plan is made in three steps, of a few dozen linear passes at most:
//!
//! 1. [`copying`] divides the sources into stretches that the store copies and stretches that are streamed through this
//!    host, as few bytes streamed as one look ahead can tell.
//! 2. If that needs more pieces than there may be, [`merge`] joins neighbours into streamed stretches: shorter
//!    copies first, and no longer than it takes.
//! 3. Each stretch is cut evenly into pieces. Streamed pieces are larger than preferred only if there would otherwise be
//!    too many.
//!
//! How much is streamed where pieces are not scarce: a run of sources shorter than `piece_min` costs itself, and if it
//! is too short for a piece also the head of the next source (less than `piece_min`) or all of it (less than twice
//! `piece_min`). That is less than twice what the best of all plans streams, and nothing where the best streams nothing.
//! Where pieces are scarce no such factor holds; each merge then saves a piece at least.

use std::collections::VecDeque;
use std::iter::successors;
use std::mem::take;

#[cfg(test)]
mod tests;

/// What a plan has to keep to. Amazon S3: 10,000 pieces of 5 MiB to 5 GiB, the last one of any length; 5 TiB in all.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Shortest piece but the last, at least 1 byte.
    pub(crate) piece_min: u64,
    /// Longest copied piece, at least twice `piece_min`.
    pub(crate) copy_max: u64,
    /// How many pieces there may be.
    pub(crate) pieces_max: u64,
    /// Preferred length of a streamed piece. Where a run can't be cut that way a piece is up to twice `piece_min`.
    pub(crate) merge: usize,
    /// Longest streamed piece, at least twice `piece_min`.
    pub(crate) stream_max: u64,
    /// Whether the store can copy ranges. If not, all is streamed.
    pub(crate) can_copy: bool,
}

/// A piece of the multipart upload that makes the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlannedPiece {
    /// Copied by the store, a range of one source.
    Copy { source: usize, start: u64, end: u64 },
    /// Read through this host and sent as one piece.
    Stream(Vec<SourceRange>),
}

/// Bytes of a source, `end` not among them. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceRange {
    pub(crate) source: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The sources don't fit in as many pieces as there may be: nor would they if all were streamed in the longest pieces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sources of {total} bytes do not fit in {pieces_max} pieces")]
pub(crate) struct TooMany {
    pub(crate) total: u64,
    pub(crate) pieces_max: u64,
}

/// Plans the object that consists of sources of these sizes. Empty sources are no part of a plan, and a plan of nothing
/// has no pieces.
///
/// # Panics
/// If `limits` are not what their documentation says: then there are runs that can't be cut into pieces.
pub(crate) fn plan(sizes: &[u64], limits: &Limits) -> Result<Vec<PlannedPiece>, TooMany> {
    let Limits { piece_min, copy_max, pieces_max, stream_max, .. } = *limits;
    assert!(piece_min >= 1 && copy_max / 2 >= piece_min && stream_max / 2 >= piece_min, "{limits:?}");
    let total = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let too_many = TooMany { total, pieces_max };
    if total == u64::MAX {
        return Err(too_many);
    }

    let mut stretches = if limits.can_copy { copying(sizes, piece_min) } else { streaming(sizes) };
    // The last pass reaches everything: what it leaves needs no more pieces than streaming all of it would.
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

/// Adjacent bytes of the object that get to it in the same way, not yet cut into pieces. All stretches but the last of
/// the object are at least `piece_min` long.
#[derive(Default)]
struct Stretch {
    /// One, if `copied`.
    ranges: Vec<SourceRange>,
    length: u64,
    copied: bool,
}

impl Stretch {
    /// Adds what comes next, which may be nothing.
    fn push(&mut self, range: SourceRange) {
        self.length += range.end - range.start;
        match self.ranges.last_mut() {
            _ if range.start == range.end => {}
            Some(last) if last.source == range.source && last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// How many pieces it is cut into, if streamed ones should be no longer than `length`. Twice `piece_min` is at most
    /// `copy_max` and `stream_max`, so even pieces are never too short for being so many, and never too long.
    fn count(&self, length: u64, limits: &Limits) -> u64 {
        if self.copied {
            self.length.div_ceil(limits.copy_max)
        } else {
            self.length.div_ceil(length).min(self.length / limits.piece_min).max(1)
        }
    }

    /// Cuts it into so many pieces, which differ by a byte at most.
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

/// How many pieces they are cut into, if streamed ones should be no longer than `length`.
fn count(stretches: &[Stretch], length: u64, limits: &Limits) -> u64 {
    stretches.iter().map(|stretch| stretch.count(length, limits)).sum()
}

/// All in one streamed stretch.
fn streaming(sizes: &[u64]) -> Vec<Stretch> {
    let mut all = Stretch::default();
    for (source, size) in sizes.iter().enumerate() {
        all.push(SourceRange { source, start: 0, end: *size });
    }
    if all.length > 0 { vec![all] } else { Vec::new() }
}

/// Copies what can be copied. A run of sources that are too short for a piece is streamed. If the run itself is too
/// short it gets what it lacks from the head of the next source, or all of that source if the rest of it would be too
/// short to be copied. So the next source is copied whole if the run lacks nothing.
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

/// Saves up to `excess` pieces: joins neighbours that are streamed already or copies of at most `reach` bytes into one
/// streamed stretch. Of each group of such neighbours it joins the shortest beginning that saves the most, or enough.
/// A group that would save nothing is left as it is.
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
