//! What a session is: an immutable record, and what follows from it and from what the store holds. Nothing here asks the
//! store or the clock.
//!
//! A session ends at one key, the final object of its file id: the object is its success, a tombstone any other end.
//! So it has no state of its own that could contradict that.

use crate::policy::parts::{Layout, Run, gaps, runs};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the form of records.
const VERSION: u32 = 1;

/// How far apart clocks of hosts may be: a session is ended for its age only this much later than its time.
pub(crate) const CLOCKS_APART: Duration = Duration::from_secs(30 * 60);

/// How long a session must have been seen without its record before its parts are deleted: half an hour, and the time by which
/// clocks of hosts may be apart.
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(60 * 60);

/// The first sight of a session that has parts and no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orphan {
    version: u32,
    /// In milliseconds since the Unix epoch.
    seen_at: u64,
}

/// What follows from the first sight of a session without a record when it is seen so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrphanAge {
    /// It may have been seen a moment ago.
    Young,
    /// The sights are at least [`ORPHAN_GRACE`] apart.
    Old,
    /// Some clock was wrong, so that the first sight is of no use.
    InTheFuture,
}

impl Orphan {
    /// One that is seen now.
    pub(crate) fn new(now_ms: u64) -> Orphan {
        Orphan { version: VERSION, seen_at: now_ms }
    }

    /// Returns the record's value.
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document of numbers")
    }

    /// Reads a record's value; `None` if it is of a version that is not understood.
    pub(crate) fn read(value: &[u8]) -> Option<Orphan> {
        serde_json::from_slice(value).ok().filter(|orphan: &Orphan| orphan.version == VERSION)
    }

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

/// What was agreed when a session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    version: u32,
    /// The id of the final object that it ends with.
    pub(crate) file_id: String,
    /// What the client calls the file.
    pub(crate) original_filename: String,
    /// The media type.
    pub(crate) content_type: String,
    /// The size of the file in bytes. A protocol that learns it later will leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total_size: Option<u64>,
    /// The size of its numbered parts in bytes. A protocol that appends will leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part_size: Option<u64>,
    /// The SHA-256 that the file must have, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) created_at: u64,
    /// When its time is over.
    pub(crate) expires_at: u64,
    /// The record that leads from the client's idempotency key to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency: Option<String>,
}

/// What a client says of a file that it is about to send. Nothing here follows from a setting, which another run may have
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Announced {
    pub(crate) original_filename: String,
    pub(crate) content_type: String,
    pub(crate) total_size: u64,
    /// The size of parts that the client asks for, in bytes; absent: as the portal likes.
    pub(crate) part_size: Option<u64>,
    pub(crate) sha256: Option<String>,
}

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its file exists.
    Complete,
    /// Its file existed, and was deleted.
    Deleted,
    /// It was aborted.
    Aborted,
    /// Its time was over.
    Expired,
}

/// The reason in the tombstone of an aborted session.
pub(crate) const ABORTED: &str = "aborted";
/// The reason in the tombstone of an expired session.
pub(crate) const EXPIRED: &str = "expired";

impl End {
    /// The end that a tombstone's reason tells.
    pub(crate) fn of_reason(reason: &str) -> End {
        match reason {
            ABORTED => End::Aborted,
            EXPIRED => End::Expired,
            _ => End::Deleted,
        }
    }
}

/// A session as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Nothing of it has arrived.
    Init,
    /// Something has.
    InProgress,
    /// Its file exists, or existed until it was deleted.
    Complete,
    /// Its time is over.
    Failed,
    /// It was aborted.
    Aborted,
}

impl Session {
    /// A session that begins now, with parts of `part_size` bytes.
    pub(crate) fn new(file_id: String, file: Announced, part_size: u64, now_ms: u64, ttl: Duration) -> Session {
        Session {
            version: VERSION,
            file_id,
            original_filename: file.original_filename,
            content_type: file.content_type,
            total_size: Some(file.total_size),
            part_size: Some(part_size),
            sha256: file.sha256,
            created_at: now_ms,
            expires_at: now_ms.saturating_add(millis(ttl)),
            idempotency: None,
        }
    }

    /// It as its record's value.
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document of texts and numbers")
    }

    /// The session that a record's value tells; `None` if it is of a version that is not understood.
    pub(crate) fn read(value: &[u8]) -> Option<Session> {
        serde_json::from_slice(value).ok().filter(|session: &Session| session.version == VERSION)
    }

    /// How its file is cut; `None` where its parts are appended.
    pub(crate) fn layout(&self) -> Option<Layout> {
        Some(Layout { total: self.total_size?, part_size: self.part_size? })
    }

    /// Whether its time is over for its client.
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_at
    }

    /// Whether anybody may end it because its time is over.
    pub(crate) fn may_be_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_at.saturating_add(millis(CLOCKS_APART))
    }

    /// Whether it may be forgotten.
    pub(crate) fn may_be_forgotten(&self, now_ms: u64, tombstone_ttl: Duration) -> bool {
        now_ms >= self.expires_at.saturating_add(millis(tombstone_ttl.max(CLOCKS_APART)))
    }

    /// What its client sees, given how it has ended, and whether something has arrived.
    pub(crate) fn status(&self, end: Option<End>, now_ms: u64, has_parts: bool) -> Status {
        match end {
            Some(End::Complete | End::Deleted) => Status::Complete,
            Some(End::Aborted) => Status::Aborted,
            Some(End::Expired) => Status::Failed,
            None if self.is_over(now_ms) => Status::Failed,
            None if has_parts => Status::InProgress,
            None => Status::Init,
        }
    }
}

/// When tombstones are forgotten that were put before: not earlier than the records of the sessions that they end, so that
/// no session is ever without both.
pub(crate) fn tombstones_before(now_ms: u64, session_ttl: Duration, tombstone_ttl: Duration) -> u64 {
    now_ms.saturating_sub(millis(session_ttl) + millis(tombstone_ttl.max(CLOCKS_APART)))
}

/// What has arrived of a file that comes in numbered parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The numbers, as runs.
    pub(crate) runs: Vec<Run>,
    /// Bytes in all.
    pub(crate) bytes: u64,
}

impl Received {
    /// What the numbers and sizes of parts in ascending order say. Numbers that the file does not have are no part of it.
    pub(crate) fn new(layout: Layout, parts: impl IntoIterator<Item = (u32, u64)>) -> Received {
        let mut bytes = 0;
        let numbers = parts.into_iter().filter(|(number, _)| layout.place(*number).is_some());
        let runs = runs(numbers.inspect(|(_, size)| bytes += size).map(|(number, _)| number));
        Received { runs, bytes }
    }

    /// All of it.
    pub(crate) fn whole(layout: Layout) -> Received {
        let count = layout.parts();
        Received { runs: if count == 0 { Vec::new() } else { vec![[1, count]] }, bytes: layout.total }
    }

    /// What is still to come.
    pub(crate) fn missing(&self, layout: Layout) -> Vec<Run> {
        gaps(&self.runs, layout.parts())
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session(created_at: u64, ttl: Duration) -> Session {
        let file = Announced {
            original_filename: "a \"b\"\u{202e}.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            total_size: 10,
            part_size: None,
            sha256: None,
        };
        Session::new("file".to_owned(), file, 4, created_at, ttl)
    }

    #[test]
    fn a_record_says_all_of_it_and_no_other_version_is_taken_for_it() {
        let one = session(7, Duration::from_secs(1));
        assert_eq!(Session::read(&one.write()), Some(one.clone()));
        let open = Session { total_size: None, part_size: None, ..one.clone() };
        assert_eq!(Session::read(&open.write()), Some(open.clone()));
        assert_eq!((open.layout(), one.layout()), (None, Some(Layout { total: 10, part_size: 4 })));
        let later = Session { version: 2, ..one };
        assert_eq!(Session::read(&later.write()), None);
        for other in ["", "{}", "[]", "null", "{\"version\":1}"] {
            assert_eq!(Session::read(other.as_bytes()), None, "{other}");
        }
    }

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

    #[test]
    fn the_end_decides_and_then_the_clock_and_then_what_arrived() {
        let session = session(1_000, Duration::from_secs(1));
        for (end, now, has_parts, status) in [
            (None, 0, false, Status::Init),
            (None, 1_999, true, Status::InProgress),
            (None, 2_000, true, Status::Failed),
            (Some(End::Complete), 9_000, false, Status::Complete),
            (Some(End::Deleted), 9_000, false, Status::Complete),
            (Some(End::Aborted), 9_000, true, Status::Aborted),
            (Some(End::Expired), 0, true, Status::Failed),
        ] {
            assert_eq!(session.status(end, now, has_parts), status, "{end:?} {now} {has_parts}");
        }
    }

    #[test]
    fn what_has_arrived_and_what_has_not() {
        let layout = Layout { total: 10, part_size: 4 };
        let some = Received::new(layout, [(1, 4), (3, 2), (4, 100), (u32::MAX, 1)]);
        assert_eq!(some, Received { runs: vec![[1, 1], [3, 3]], bytes: 6 });
        assert_eq!(some.missing(layout), [[2, 2]]);
        assert!(Received::whole(layout).missing(layout).is_empty());
        assert_eq!(Received::default().missing(layout), [[1, 3]]);
    }

    proptest! {
        /// Its record goes before the tombstone that ended it may go, whenever it ended.
        #[test]
        fn a_tombstone_outlives_its_session(
            created in 0_u64..1 << 45, ttl in 0_u64..1 << 34, tombstones in 0_u64..1 << 34, ended in 0_u64..1 << 35,
            now in 0_u64..1 << 46,
        ) {
            let (ttl, tombstones) = (Duration::from_millis(ttl), Duration::from_millis(tombstones));
            let session = session(created, ttl);
            let ended = created + ended;
            if ended < tombstones_before(now, ttl, tombstones) {
                prop_assert!(session.may_be_forgotten(now, tombstones));
            }
        }

        #[test]
        fn nobody_is_ended_before_its_time(created in 0_u64..1 << 45, ttl in 0_u64..1 << 40, now in 0_u64..1 << 46) {
            let session = session(created, Duration::from_millis(ttl));
            prop_assert!(!session.may_be_expired(now) || session.is_over(now));
            prop_assert!(!session.may_be_forgotten(now, Duration::ZERO) || session.may_be_expired(now));
        }
    }
}
