//! Expectations, options and ranges. Each starts from its default; a method for each field sets another value.

use crate::{Digest, bindings::portico::storage::storage as wit};
use std::ops::{Bound, RangeBounds};

/// Facts about content that the caller knows beforehand. The host checks them before the content becomes visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The size in bytes, at most 2^63 - 1.
    pub size: Option<u64>,
    /// The SHA-256 of the content.
    pub sha256: Option<Digest>,
    /// Digests by other algorithms, each algorithm at most once, as many bytes as the algorithm says.
    pub others: Vec<(DigestAlgorithm, Vec<u8>)>,
}

pub use wit::DigestAlgorithm;

impl From<Expected> for wit::Expected {
    fn from(expected: Expected) -> Self {
        let Expected { size, sha256, others } = expected;
        let other = |(algorithm, value)| wit::OtherDigest { algorithm, value };
        wit::Expected {
            size,
            sha256: sha256.map(|digest| digest.as_bytes().to_vec()),
            others: others.into_iter().map(other).collect(),
        }
    }
}

pub use wit::IfExists;

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for IfExists {
    fn default() -> Self {
        IfExists::Fail
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
    /// Known facts about the content.
    pub expected: Expected,
    /// What to do when the session already has a part of that number.
    pub if_exists: IfExists,
    /// The offset in bytes of this part in the assembled object, if known. A hint: a backend may write the part at its
    /// final position.
    pub offset: Option<u64>,
    /// Compute the part's own SHA-256 for the receipt. Implied by an expected one.
    pub want_sha256: bool,
    /// The file id of the object that the session's parts are for. If an object or a tombstone exists there, the put
    /// fails with [`Error::Ended`](crate::Error::Ended) and leaves no part.
    pub unless_final: Option<String>,
    /// The most bytes that the content may have. More fails with [`Error::TooLarge`](crate::Error::TooLarge), and
    /// nothing is kept.
    pub limit: Option<u64>,
    /// Store what had arrived when the source fails, stalls, or is interrupted; see
    /// [`TempPart::is_prefix`](crate::TempPart::is_prefix). Not together with an expected digest.
    pub keep_prefix: bool,
    /// The temp key of the part that ends where this one begins, if known. A hint, with `offset`.
    pub previous: Option<String>,
    /// Other digests to compute, for an expectation that only [`Writer::finish`](crate::Writer::finish) brings.
    pub compute: Vec<DigestAlgorithm>,
}

impl PartOptions {
    /// Creates options without expectations, with [`IfExists::Fail`].
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

    /// Sets the part's offset in the assembled object, in bytes.
    #[must_use]
    pub fn offset(mut self, bytes: u64) -> Self {
        self.offset = Some(bytes);
        self
    }

    /// Sets [`IfExists::SameContentOk`].
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

    /// Keeps what arrived when the source fails.
    #[must_use]
    pub fn keep_prefix(mut self) -> Self {
        self.keep_prefix = true;
        self
    }

    /// Stores nothing once an object or a tombstone exists under this file id.
    #[must_use]
    pub fn unless_final(mut self, file_id: impl Into<String>) -> Self {
        self.unless_final = Some(file_id.into());
        self
    }
}

impl From<PartOptions> for wit::PartOptions {
    fn from(options: PartOptions) -> Self {
        let PartOptions {
            expected,
            if_exists,
            offset,
            want_sha256,
            unless_final,
            limit,
            keep_prefix,
            previous,
            compute,
        } = options;
        let expected = expected.into();
        wit::PartOptions {
            expected,
            if_exists,
            offset,
            want_sha256,
            unless_final,
            limit,
            keep_prefix,
            previous,
            compute,
        }
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
    /// Known facts about the content.
    pub expected: Expected,
    /// What to do when the file id is taken.
    pub if_exists: IfExists,
    /// The media type, stored as given: 1 to 255 bytes of visible ASCII and spaces.
    pub content_type: Option<String>,
    /// Pairs of key and value, stored as given: at most 64, and 8 KiB in sum. Keys: 1 to 64 bytes of `a-z`, `0-9`, `-`,
    /// `_`, each once. Values: any text without control characters.
    pub metadata: Vec<(String, String)>,
}

impl FinalOptions {
    /// Creates options without expectations, media type or metadata, with [`IfExists::Fail`].
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

    /// Sets the media type.
    #[must_use]
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// Adds a pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Sets [`IfExists::SameContentOk`].
    #[must_use]
    pub fn same_content_ok(mut self) -> Self {
        self.if_exists = IfExists::SameContentOk;
        self
    }
}

impl From<FinalOptions> for wit::FinalOptions {
    fn from(options: FinalOptions) -> Self {
        let FinalOptions { expected, if_exists, content_type, metadata } = options;
        wit::FinalOptions { expected: expected.into(), if_exists, content_type, metadata }
    }
}

/// Converts a Rust range to the contract's; the whole content is `None`. A bound that does not fit a `u64` saturates,
/// and so stays beyond the end of any content.
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
