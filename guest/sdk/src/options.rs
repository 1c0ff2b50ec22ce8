//! What a caller says beside the content: expectations, options, ranges. Each starts from its default and is
//! built by methods that name what differs.

use crate::{Digest, bindings::portico::storage::storage as wit};
use std::ops::{Bound, RangeBounds};

/// What the caller knows of its content beforehand. The host checks it before anything becomes visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The size in bytes, at most 2^63 - 1.
    pub size: Option<u64>,
    /// The SHA-256 of the content.
    pub sha256: Option<Digest>,
}

impl From<Expected> for wit::Expected {
    fn from(expected: Expected) -> Self {
        wit::Expected { size: expected.size, sha256: expected.sha256.map(|digest| digest.as_bytes().to_vec()) }
    }
}

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// Fail with [`Error::Conflict`](crate::Error::Conflict), perhaps before any content is read.
    #[default]
    Fail,
    /// Compare: the same bytes answer the stored receipt with `replayed` set, other bytes fail with
    /// [`Error::Conflict`](crate::Error::Conflict). Makes a retry idempotent.
    SameContentOk,
}

impl From<IfExists> for wit::IfExists {
    fn from(if_exists: IfExists) -> Self {
        match if_exists {
            IfExists::Fail => wit::IfExists::Fail,
            IfExists::SameContentOk => wit::IfExists::SameContentOk,
        }
    }
}

/// Options of a temporary part.
///
/// ```
/// # use portico_guest::PartOptions;
/// let options = PartOptions::new().size(5 << 20).offset(10 << 20).same_content_ok().want_sha256();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartOptions {
    /// What is known of the content.
    pub expected: Expected,
    /// What to do when the session already has a part of that number.
    pub if_exists: IfExists,
    /// The offset in bytes that this part will have in the assembled object, if known. It lets a backend write
    /// the part where it belongs, and promises nothing.
    pub offset: Option<u64>,
    /// Whether the receipt should have the part's own SHA-256. Implied by an expected one.
    pub want_sha256: bool,
    /// The file id that the session's parts are for. If there is an object or a tombstone under it, the put fails with
    /// [`Error::Ended`](crate::Error::Ended) and leaves no part.
    pub unless_final: Option<String>,
}

impl PartOptions {
    /// Nothing known, nothing wanted, [`IfExists::Fail`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this many bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.expected.size = Some(bytes);
        self
    }

    /// Expects this digest.
    #[must_use]
    pub fn sha256(mut self, digest: Digest) -> Self {
        self.expected.sha256 = Some(digest);
        self
    }

    /// The part's offset in the assembled object, in bytes.
    #[must_use]
    pub fn offset(mut self, bytes: u64) -> Self {
        self.offset = Some(bytes);
        self
    }

    /// [`IfExists::SameContentOk`].
    #[must_use]
    pub fn same_content_ok(mut self) -> Self {
        self.if_exists = IfExists::SameContentOk;
        self
    }

    /// Asks for the part's SHA-256 in the receipt.
    #[must_use]
    pub fn want_sha256(mut self) -> Self {
        self.want_sha256 = true;
        self
    }

    /// Stores nothing once something is under this file id.
    #[must_use]
    pub fn unless_final(mut self, file_id: impl Into<String>) -> Self {
        self.unless_final = Some(file_id.into());
        self
    }
}

impl From<PartOptions> for wit::PartOptions {
    fn from(options: PartOptions) -> Self {
        let PartOptions { expected, if_exists, offset, want_sha256, unless_final } = options;
        wit::PartOptions { expected: expected.into(), if_exists: if_exists.into(), offset, want_sha256, unless_final }
    }
}

/// Options of a final object.
///
/// ```
/// # use portico_guest::FinalOptions;
/// let options = FinalOptions::new().content_type("text/csv").metadata("owner", "Ada").size(120);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalOptions {
    /// What is known of the content.
    pub expected: Expected,
    /// What to do when the file id is taken.
    pub if_exists: IfExists,
    /// The media type, stored as given: at most 255 bytes of visible ASCII and spaces.
    pub content_type: Option<String>,
    /// Pairs stored as given: at most 64, and 8 KiB in sum. Keys: 1 to 64 bytes of `a-z`, `0-9`, `-`, `_`, each
    /// once. Values: any text without control characters.
    pub metadata: Vec<(String, String)>,
}

impl FinalOptions {
    /// Nothing known, no media type, no metadata, [`IfExists::Fail`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this many bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.expected.size = Some(bytes);
        self
    }

    /// Expects this digest.
    #[must_use]
    pub fn sha256(mut self, digest: Digest) -> Self {
        self.expected.sha256 = Some(digest);
        self
    }

    /// The media type.
    #[must_use]
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// One more pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// [`IfExists::SameContentOk`].
    #[must_use]
    pub fn same_content_ok(mut self) -> Self {
        self.if_exists = IfExists::SameContentOk;
        self
    }
}

impl From<FinalOptions> for wit::FinalOptions {
    fn from(options: FinalOptions) -> Self {
        let FinalOptions { expected, if_exists, content_type, metadata } = options;
        wit::FinalOptions { expected: expected.into(), if_exists: if_exists.into(), content_type, metadata }
    }
}

/// The contract's range of a Rust range; the whole content is no range at all. What no `u64` can say lies beyond
/// the end of any content, and stays there.
pub(crate) fn byte_range(range: impl RangeBounds<u64>) -> Option<wit::ByteRange> {
    let start = match range.start_bound() {
        Bound::Unbounded => 0,
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.saturating_add(1),
    };
    let end = match range.end_bound() {
        Bound::Unbounded => None,
        Bound::Included(last) => Some(last.saturating_add(1)),
        Bound::Excluded(end) => Some(*end),
    };
    (start > 0 || end.is_some()).then_some(wit::ByteRange { start, end })
}

#[cfg(test)]
mod tests {
    use super::{byte_range, wit::ByteRange};
    use std::ops::Bound;

    #[test]
    fn ranges_are_half_open_and_none_is_the_whole() {
        let told = |range: Option<ByteRange>| range.map(|range| (range.start, range.end));
        assert_eq!(told(byte_range(..)), None);
        assert_eq!(told(byte_range(0..)), None);
        assert_eq!(told(byte_range(5..)), Some((5, None)));
        assert_eq!(told(byte_range(..5)), Some((0, Some(5))));
        assert_eq!(told(byte_range(..0)), Some((0, Some(0))));
        assert_eq!(told(byte_range(2..=4)), Some((2, Some(5))));
        assert_eq!(
            told(byte_range((Bound::Included(7), Bound::Excluded(3)))),
            Some((7, Some(3))),
            "for the host to refuse"
        );
        assert_eq!(told(byte_range(..=u64::MAX)), Some((0, Some(u64::MAX))));
        assert_eq!(told(byte_range((Bound::Excluded(u64::MAX), Bound::Unbounded))), Some((u64::MAX, None)));
    }
}
