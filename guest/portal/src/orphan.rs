//! Sessions that have parts and no record: notes of when they were first seen.

use crate::session::{CLOCKS_APART, VERSION, millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time between the first sight of a session without its record and the deletion of its parts: half an hour plus
/// [`CLOCKS_APART`].
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(60 * 60);

/// The note of the first sight of a session that has parts and no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orphan {
    version: u32,
    /// In milliseconds since the Unix epoch.
    seen_at: u64,
}

/// The age of an [`Orphan`] note at the next sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrphanAge {
    /// The sights are less than [`ORPHAN_GRACE`] apart.
    Young,
    /// The sights are at least [`ORPHAN_GRACE`] apart.
    Old,
    /// A clock was wrong, so the note is useless.
    InTheFuture,
}

impl Orphan {
    /// Creates a note of a sight now.
    pub(crate) fn new(now_ms: u64) -> Orphan {
        Orphan { version: VERSION, seen_at: now_ms }
    }

    /// Returns the record's value.
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document of numbers")
    }

    /// Reads a record's value; `None` for an unknown version.
    pub(crate) fn read(value: &[u8]) -> Option<Orphan> {
        serde_json::from_slice(value).ok().filter(|orphan: &Orphan| orphan.version == VERSION)
    }

    /// Returns the age of the note.
    pub(crate) fn age(&self, now_ms: u64) -> OrphanAge {
        if self.seen_at > now_ms.saturating_add(millis(CLOCKS_APART)) {
            OrphanAge::InTheFuture
        } else if now_ms >= self.seen_at.saturating_add(millis(ORPHAN_GRACE)) {
            OrphanAge::Old
        } else {
            OrphanAge::Young
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ORPHAN_GRACE, Orphan, OrphanAge};
    use crate::session::{CLOCKS_APART, millis};

    #[test]
    fn two_sights_of_an_orphan_are_a_grace_apart() {
        let grace = millis(ORPHAN_GRACE);
        let orphan = Orphan::new(10 * grace);
        assert_eq!(Orphan::read(&orphan.write()), Some(orphan));
        assert_eq!(Orphan::read(b"{\"version\":2,\"seen_at\":1}"), None);
        for (now, age) in [
            (0, OrphanAge::InTheFuture),
            (10 * grace - millis(CLOCKS_APART), OrphanAge::Young),
            (11 * grace - 1, OrphanAge::Young),
            (11 * grace, OrphanAge::Old),
            (u64::MAX, OrphanAge::Old),
        ] {
            assert_eq!(orphan.age(now), age, "{now}");
        }
    }
}
