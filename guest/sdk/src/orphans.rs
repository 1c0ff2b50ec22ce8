//! Sessions that have parts and no owner: notes of when they were first seen.

use crate::{Error, Result, Store};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time by which the clocks of hosts may differ.
pub const CLOCKS_APART: Duration = Duration::from_secs(30 * 60);

/// Prefix of the names of the notes, which are records `orphans/SESSION`.
const ORPHANS: &str = "orphans/";

/// Entries of a listing between two looks at the clock.
pub(crate) const PAGE: u32 = 50;

/// The version of a note.
const VERSION: u32 = 1;

/// Time between the first sight of a session without an owner and the deletion of its parts: half an hour plus
/// [`CLOCKS_APART`].
pub const ORPHAN_GRACE: Duration = Duration::from_secs(60 * 60);

/// The note of the first sight of an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Orphan {
    version: u32,
    /// In milliseconds since the Unix epoch.
    seen_at: u64,
}

/// The age of an [`Orphan`] note at the next sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrphanAge {
    /// The sights are less than [`ORPHAN_GRACE`] apart.
    Young,
    /// The sights are at least [`ORPHAN_GRACE`] apart.
    Old,
    /// A clock was wrong, so the note is useless.
    InTheFuture,
}

impl Orphan {
    /// Creates a note of a sight now.
    fn new(now_ms: u64) -> Orphan {
        Orphan { version: VERSION, seen_at: now_ms }
    }

    /// Returns the record's value.
    fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document of numbers")
    }

    /// Reads a record's value; `None` for an unknown version.
    fn read(value: &[u8]) -> Option<Orphan> {
        serde_json::from_slice(value).ok().filter(|orphan: &Orphan| orphan.version == VERSION)
    }

    /// Returns the age of the note.
    fn age(&self, now_ms: u64) -> OrphanAge {
        if self.seen_at > now_ms.saturating_add(millis(CLOCKS_APART)) {
            OrphanAge::InTheFuture
        } else if now_ms >= self.seen_at.saturating_add(millis(ORPHAN_GRACE)) {
            OrphanAge::Old
        } else {
            OrphanAge::Young
        }
    }
}

/// The result of looking at a page of notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Sessions whose parts were deleted.
    pub cleared: u32,
    /// Where the next page begins; absent on the last page.
    pub next: Option<String>,
}

/// Notes that a session has parts and no owner. One look may be wrong, so nothing is deleted yet.
///
/// # Errors
/// Those of [`Store::create_record`], except `Conflict`.
pub fn note_orphan(store: &Store, session: &str, now_ms: u64) -> Result<()> {
    match store.create_record(&format!("{ORPHANS}{session}"), &Orphan::new(now_ms).write()) {
        Ok(_) | Err(Error::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Looks at a page of noted sessions again. Deletes the parts of those that are still orphans after [`ORPHAN_GRACE`].
///
/// # Errors
/// Those of the store and of `is_orphan`.
pub fn review_orphans(
    store: &Store,
    now_ms: u64,
    after: Option<&str>,
    mut is_orphan: impl FnMut(&str) -> Result<bool>,
) -> Result<Reviewed> {
    let page = store.list_records(ORPHANS, after, PAGE)?;
    let mut cleared = 0;
    for name in page.items {
        let session = name.strip_prefix(ORPHANS).unwrap_or_default();
        // Where the session has an owner, the first look was wrong.
        if is_orphan(session)? {
            match age(store, &name, now_ms)? {
                Some(OrphanAge::Old) => {
                    store.delete_session_parts(session)?;
                    cleared += 1;
                }
                Some(OrphanAge::InTheFuture) => {}
                Some(OrphanAge::Young) | None => continue,
            }
        }
        store.delete_record(&name, None)?;
    }
    Ok(Reviewed { cleared, next: page.next })
}

/// Returns the age of a note; `None` if another host has deleted it, or it has an unknown version.
fn age(store: &Store, name: &str, now_ms: u64) -> Result<Option<OrphanAge>> {
    match store.get_record(name) {
        Ok(record) => Ok(Orphan::read(&record.value).map(|orphan| orphan.age(now_ms))),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CLOCKS_APART, ORPHAN_GRACE, Orphan, OrphanAge, millis};

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
