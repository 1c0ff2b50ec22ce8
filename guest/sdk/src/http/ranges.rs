//! `Range` requests (RFC 9110, 14) for one range of bytes. Any other range request gets the whole content, as the RFC
//! allows.

/// The selected part of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The whole content.
    Whole,
    /// The bytes from `first` to before `end`; at least one byte.
    Part {
        /// The first byte.
        first: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A range that selects no byte of the content.
    Unsatisfiable,
}

/// Evaluates a `Range` field for content of `size` bytes. A field that is malformed, of another unit, or of several
/// ranges selects the whole.
pub fn select(field: Option<&str>, size: u64) -> Selection {
    field.and_then(one_range).map_or(Selection::Whole, |range| range.of(size))
}

/// Formats `Content-Range` for a part of content of `size` bytes (RFC 9110, 14.4).
pub fn content_range(first: u64, end: u64, size: u64) -> String {
    format!("bytes {first}-{}/{size}", end - 1)
}

/// Formats `Content-Range` for an unsatisfiable range of content of `size` bytes.
pub fn unsatisfied_range(size: u64) -> String {
    format!("bytes */{size}")
}

/// A well-formed range. Larger numbers saturate at 2^64 - 1, which no content reaches.
enum Range {
    From { first: u64, last: Option<u64> },
    Suffix { length: u64 },
}

impl Range {
    fn of(self, size: u64) -> Selection {
        match self {
            Range::From { first, .. } if first >= size => Selection::Unsatisfiable,
            Range::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                Selection::Part { first, end }
            }
            Range::Suffix { length: 0 } => Selection::Unsatisfiable,
            // Empty content satisfies the range, but has no `Content-Range`.
            Range::Suffix { .. } if size == 0 => Selection::Whole,
            Range::Suffix { length } => Selection::Part { first: size.saturating_sub(length), end: size },
        }
    }
}

fn one_range(field: &str) -> Option<Range> {
    let (unit, set) = field.split_once('=')?;
    // Empty elements of a list are ignored (RFC 9110, 5.6.1.2).
    let mut specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else { return None };
    let (first, last) = spec.split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", length) => Some(Range::Suffix { length: number(length)? }),
        (first, "") => Some(Range::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Range::From { first, last: Some(last) })
        }
    }
}

/// Parses `1*DIGIT`, saturating.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Selection, Selection::*, content_range, select, unsatisfied_range};
    use proptest::prelude::*;

    fn part(first: u64, end: u64) -> Selection {
        Part { first, end }
    }

    #[test]
    fn one_range_of_ten_bytes() {
        for (field, selection) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=0-10", part(0, 10)),
            ("bytes=9-", part(9, 10)),
            ("bytes=0-", part(0, 10)),
            ("bytes=3-5", part(3, 6)),
            ("Bytes=3-5", part(3, 6)),
            ("bytes= 3-5 ", part(3, 6)),
            ("bytes=,3-5,", part(3, 6)),
            ("bytes=003-0005", part(3, 6)),
            ("bytes=5-99999999999999999999999999", part(5, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-11", part(0, 10)),
            ("bytes=-99999999999999999999999999", part(0, 10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=99999999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
        ] {
            assert_eq!(select(Some(field), 10), selection, "{field}");
        }
    }

    #[test]
    fn anything_else_is_the_whole() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5",
            "bytes=5-3",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "bytes=0-0,0-0",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=--3",
            "bytes=1--3",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "bytes =0-1",
            " bytes=0-1",
            "items=0-1",
            "bytes=0-1;q=1",
            "bytes=1.0-2",
            "bytes=\u{661}-2",
            "bytes==0-1",
        ] {
            assert_eq!(select(Some(field), 10), Whole, "{field}");
        }
        assert_eq!(select(None, 10), Whole);
    }

    #[test]
    fn empty_content() {
        assert_eq!(select(Some("bytes=0-"), 0), Unsatisfiable);
        assert_eq!(select(Some("bytes=-1"), 0), Whole);
        assert_eq!(select(None, 0), Whole);
    }

    #[test]
    fn what_is_told_of_it() {
        assert_eq!(content_range(3, 6, 10), "bytes 3-5/10");
        assert_eq!(unsatisfied_range(10), "bytes */10");
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_content(field in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
            if let Part { first, end } = select(Some(&field), size) {
                prop_assert!(first < end && end <= size, "{first}..{end} of {size}");
            }
        }

        #[test]
        fn no_text_breaks_it(field in any::<String>(), size in any::<u64>()) {
            if let Part { first, end } = select(Some(&field), size) {
                prop_assert!(first < end && end <= size);
            }
        }
    }
}
