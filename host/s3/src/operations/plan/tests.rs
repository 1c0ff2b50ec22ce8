//! What holds of every plan, with limits so small that random sizes reach all corners.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Those of Amazon S3.
const S3: Limits = Limits {
    piece_min: 5 * MIB,
    copy_max: 5 * GIB,
    pieces_max: 10_000,
    merge: 8 << 20,
    stream_max: 64 * MIB,
    can_copy: true,
};

fn small_limits() -> impl Strategy<Value = Limits> {
    (1_u64..7, 0_u64..12, 0_u64..12, 1_usize..24, any::<bool>()).prop_map(
        |(piece_min, copy, stream, merge, can_copy)| {
            let (copy_max, stream_max) = (2 * piece_min + copy, 2 * piece_min + stream);
            Limits { piece_min, copy_max, pieces_max: u64::MAX, merge, stream_max, can_copy }
        },
    )
}

/// Many empty and tiny, many near the shortest piece and its double, some long.
fn small_sizes(count: usize) -> impl Strategy<Value = Vec<u64>> {
    vec(prop_oneof![1 => Just(0), 4 => 1_u64..7, 4 => 3_u64..14, 1 => 8_u64..80], 0..count)
}

fn ranges(piece: &PlannedPiece) -> Vec<SourceRange> {
    match piece {
        PlannedPiece::Copy { source, start, end } => vec![SourceRange { source: *source, start: *start, end: *end }],
        PlannedPiece::Stream(ranges) => ranges.clone(),
    }
}

fn length(piece: &PlannedPiece) -> u64 {
    ranges(piece).iter().map(|range| range.end - range.start).sum()
}

fn streamed(pieces: &[PlannedPiece]) -> u64 {
    pieces.iter().filter(|piece| matches!(piece, PlannedPiece::Stream(_))).map(length).sum()
}

/// Panics unless the pieces are a plan for the sources within the limits.
fn check(sizes: &[u64], limits: &Limits, pieces: &[PlannedPiece]) {
    let mut expected = sizes.iter().enumerate().filter(|(_, size)| **size > 0).map(|(source, size)| (source, *size));
    let mut current = None;
    for range in pieces.iter().flat_map(ranges) {
        let (source, at, size) = current.take().or_else(|| expected.next().map(|(s, size)| (s, 0, size))).unwrap();
        assert_eq!((range.source, range.start), (source, at), "in the order of the sources, without gaps");
        assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
        current = (range.end < size).then_some((source, range.end, size));
    }
    assert_eq!((current, expected.next()), (None, None), "all of it");

    assert!(pieces.len() as u64 <= limits.pieces_max, "{} pieces", pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len();
        let copy = matches!(piece, PlannedPiece::Copy { .. });
        let longest = if copy { limits.copy_max } else { limits.stream_max };
        assert!(length(piece) >= if last { 1 } else { limits.piece_min }, "{piece:?} is too short");
        assert!(length(piece) <= longest, "{piece:?} is too long");
        assert!(limits.can_copy || !copy);
    }
}

/// The fewest bytes that any plan streams, `None` if there is no plan: by trying each length of each last piece.
fn best(sizes: &[u64], limits: &Limits, pieces_max: usize) -> Option<u64> {
    let owner: Vec<usize> = sizes.iter().enumerate().flat_map(|(i, size)| (0..*size).map(move |_| i)).collect();
    let total = owner.len();
    let mut fewest = vec![None; total + 1];
    fewest[0] = Some(0);
    let mut answer = fewest[total];
    for _ in 0..pieces_max.min(total) {
        let mut next: Vec<Option<u64>> = vec![None; total + 1];
        for end in 1..=total {
            for start in 0..end {
                let length = (end - start) as u64;
                let Some(before) = fewest[start].filter(|_| length >= limits.piece_min || end == total) else {
                    continue;
                };
                let copy = limits.can_copy && length <= limits.copy_max && owner[start] == owner[end - 1];
                if copy || length <= limits.stream_max {
                    let cost = before + if copy { 0 } else { length };
                    next[end] = Some(next[end].map_or(cost, |other| other.min(cost)));
                }
            }
        }
        fewest = next;
        answer = answer.into_iter().chain(fewest[total]).min();
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_plan_is_the_sources_within_the_limits(sizes in small_sizes(40), limits in small_limits(), max in 0_u64..40) {
        let limits = Limits { pieces_max: max, ..limits };
        let total: u64 = sizes.iter().sum();
        match plan(&sizes, &limits) {
            Ok(pieces) => check(&sizes, &limits, &pieces),
            Err(error) => {
                prop_assert_eq!(&error, &TooMany { total, pieces_max: max });
                prop_assert!(total > max * limits.stream_max, "streaming everything would do");
            }
        }
    }

    #[test]
    fn a_source_is_copied_whole_unless_a_short_run_before_it_needs_some(
        sizes in small_sizes(40), limits in small_limits(),
    ) {
        let limits = Limits { can_copy: true, ..limits };
        let pieces = plan(&sizes, &limits).unwrap();
        check(&sizes, &limits, &pieces);
        let mut lacking = vec![0; sizes.len()];
        let mut streamed = vec![0; sizes.len()];
        let mut run = 0;
        for piece in &pieces {
            for SourceRange { source, start, end } in ranges(piece) {
                if matches!(piece, PlannedPiece::Copy { .. }) {
                    run = 0;
                    continue;
                }
                if start == 0 && run > 0 {
                    lacking[source] = limits.piece_min.saturating_sub(run);
                }
                streamed[source] += end - start;
                run += end - start;
            }
        }
        for source in 0..sizes.len() {
            if sizes[source] < limits.piece_min || streamed[source] == 0 {
                continue;
            }
            prop_assert!(lacking[source] > 0, "the run before {} lacked nothing", source);
            let rest = sizes[source] - lacking[source];
            let whole = streamed[source] == sizes[source] && rest < limits.piece_min;
            prop_assert!(whole || streamed[source] == lacking[source], "{} of source {}", streamed[source], source);
        }
    }

    #[test]
    fn equal_sources_are_not_streamed(
        limits in small_limits(), over in 0_u64..40, count in 0_usize..30, last in 0_u64..80,
    ) {
        let limits = Limits { can_copy: true, ..limits };
        let mut sizes = vec![limits.piece_min + over; count];
        sizes.push(last);
        let pieces = plan(&sizes, &limits).unwrap();
        check(&sizes, &limits, &pieces);
        prop_assert_eq!(streamed(&pieces), 0);
    }

    #[test]
    fn streamed_bytes_are_near_the_best(sizes in small_sizes(12), limits in small_limits()) {
        let limits = Limits { can_copy: true, ..limits };
        let streamed = streamed(&plan(&sizes, &limits).unwrap());
        let best = best(&sizes, &limits, usize::MAX).unwrap();
        prop_assert!(best <= streamed);
        prop_assert!(streamed == 0 || streamed < 2 * best, "{} of {} at best", streamed, best);
    }

    #[test]
    fn nothing_is_merged_without_need(sizes in small_sizes(40), limits in small_limits()) {
        let pieces = plan(&sizes, &limits).unwrap();
        let enough = Limits { pieces_max: pieces.len() as u64, ..limits };
        prop_assert_eq!(plan(&sizes, &enough).unwrap(), pieces);
    }

    #[test]
    fn without_copies_pieces_have_the_preferred_length(sizes in small_sizes(40), limits in small_limits()) {
        let limits = Limits { can_copy: false, ..limits };
        let pieces = plan(&sizes, &limits).unwrap();
        check(&sizes, &limits, &pieces);
        let preferred = (limits.merge as u64).max(2 * limits.piece_min);
        prop_assert!(pieces.iter().all(|piece| length(piece) <= preferred));
    }
}

/// How many pieces are copied and streamed, and the bytes streamed, of a plan that is checked.
fn summary(sizes: &[u64], limits: &Limits) -> (usize, usize, u64) {
    let pieces = plan(sizes, limits).unwrap();
    check(sizes, limits, &pieces);
    let copies = pieces.iter().filter(|piece| matches!(piece, PlannedPiece::Copy { .. })).count();
    (copies, pieces.len() - copies, streamed(&pieces))
}

#[test]
fn plans_for_amazon_are_as_expected() {
    assert_eq!(plan(&[], &S3), Ok(vec![]));
    assert_eq!(plan(&[0, 0], &S3), Ok(vec![]));
    assert_eq!(summary(&[0, 1, 0], &S3), (1, 0, 0), "the last one may have any length");
    assert_eq!(summary(&[1, 1], &S3), (0, 1, 2), "two tiny ones");
    assert_eq!(summary(&[8 * MIB, 8 * MIB, 3], &S3), (3, 0, 0));
    assert_eq!(summary(&[MIB, 9 * MIB, MIB], &S3), (2, 1, 5 * MIB), "4 MiB from the head of the second");
    assert_eq!(summary(&[MIB, 8 * MIB, 9 * MIB], &S3), (1, 1, 9 * MIB), "no rest of 4 MiB");
    assert_eq!(summary(&[5 * GIB + 1], &S3), (2, 0, 0));
    assert_eq!(summary(&[500 * GIB; 10], &S3), (1000, 0, 0));
    assert_eq!(summary(&[5 * MIB; 10_000], &S3), (10_000, 0, 0));
}

#[test]
fn too_many_copies_are_merged_as_needed() {
    let (copies, streams, streamed) = summary(&[5 * MIB; 10_001], &S3);
    assert_eq!((copies, streams, streamed), (9_999, 1, 10 * MIB));
    let (copies, streams, streamed) = summary(&[5 * MIB; 20_000], &S3);
    assert_eq!(copies + streams, 10_000);
    assert!(streamed < 11_000 * 5 * MIB, "{streamed}");

    let mut sizes = vec![6 * MIB; 99_999];
    sizes.insert(50_000, 1000 * GIB);
    let (copies, streams, streamed) = summary(&sizes, &S3);
    assert!(copies >= 200 && copies + streams <= 10_000);
    assert!(streamed <= 99_999 * 6 * MIB, "the long one is copied");
    let error = plan(&[70 * MIB; 10_001], &S3).unwrap_err();
    assert_eq!(error.to_string(), format!("sources of {} bytes do not fit in 10000 pieces", 10_001 * 70 * MIB));
}

#[test]
fn streams_grow_before_copies_are_merged() {
    let mut sizes = vec![MIB; 90_000];
    sizes.push(20 * MIB);
    sizes.push(20 * MIB);
    assert_eq!(summary(&sizes, &S3).2, 90_000 * MIB);
    let (copies, streams, _) = summary(&sizes, &Limits { can_copy: false, ..S3 });
    assert!(copies == 0 && streams > 8_800 && streams <= 10_000, "{streams} pieces");
}

#[test]
fn a_hundred_thousand_sources_take_linear_time() {
    for sizes in [vec![1; 100_000], vec![4 * MIB; 100_000], (0..100_000).map(|i| i % 13 * MIB).collect()] {
        for can_copy in [true, false] {
            summary(&sizes, &Limits { can_copy, ..S3 });
        }
    }
}

#[test]
fn sizes_beyond_counting_are_too_many() {
    assert!(plan(&[u64::MAX, u64::MAX], &S3).is_err());
    assert!(plan(&[u64::MAX - 1], &S3).is_err());
}
