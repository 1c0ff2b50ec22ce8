//! Sessions: an immutable record, and pure functions of the record, the time and the store's content.
//!
//! A session ends at one key, the final object of its file id: the object is success, a tombstone any other end.
//! Invariant: a session has no other state, so nothing can contradict that key.

use crate::policy::parts::{Layout, Run, gaps, runs};
use portico_guest::{exchange::Protocol, maintenance::CLOCKS_APART};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the records' format.
pub(crate) const VERSION: u32 = 1;

/// The terms of a session, fixed when it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    version: u32,
    /// The id of the final object at which the session ends.
    pub(crate) file_id: String,
    /// The client's name for the file.
    pub(crate) original_filename: String,
    /// The media type.
    pub(crate) content_type: String,
    /// The size of the file in bytes; absent for protocols that learn the size later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total_size: Option<u64>,
    /// The size of the numbered parts in bytes; absent for protocols that append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part_size: Option<u64>,
    /// The expected SHA-256 of the file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// The path of the file in the folder that the client sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relative_path: Option<String>,
    /// `Upload-Metadata` of tus, as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload_metadata: Option<String>,
    /// `Upload-Concat` of tus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concat: Option<Concat>,
    /// For the metrics.
    #[serde(default)]
    pub(crate) begun_by: BegunBy,
    /// The beginning, in milliseconds since the Unix epoch.
    pub(crate) created_at: u64,
    /// The expiry, in milliseconds since the Unix epoch.
    pub(crate) expires_at: u64,
    /// The name of the record that leads from the client's idempotency key to the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency: Option<String>,
}

/// The protocol that began a session. Others may continue it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BegunBy {
    #[default]
    Sessions,
    Tus,
    Resumable,
}

impl From<BegunBy> for Protocol {
    fn from(begun_by: BegunBy) -> Self {
        match begun_by {
            BegunBy::Sessions => Protocol::Sessions,
            BegunBy::Tus => Protocol::Tus,
            BegunBy::Resumable => Protocol::Resumable,
        }
    }
}

/// The place of an upload in a concatenation of tus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Concat {
    /// The upload is a piece of a later one, and makes no file of its own.
    Partial,
    /// The upload consists of others.
    Final {
        /// The ids of their sessions, in order.
        partials: Vec<String>,
        /// The field as the client wrote it.
        field: String,
    },
}

/// The form of a session's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'s> {
    /// Numbered parts, in any order.
    Numbered(Layout),
    /// Appends, one after the other.
    Appended,
    /// The contents of other sessions, by their ids.
    Joined(&'s [String]),
}

/// A client's announcement of a file. No member depends on a setting, because a retry may meet other settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Announced {
    pub(crate) original_filename: String,
    pub(crate) content_type: String,
    /// The size of the file in bytes; absent for protocols that learn the size later.
    pub(crate) total_size: Option<u64>,
    /// The part size that the client chose, in bytes; absent: the portal chooses.
    pub(crate) part_size: Option<u64>,
    pub(crate) sha256: Option<String>,
    pub(crate) relative_path: Option<String>,
    pub(crate) upload_metadata: Option<String>,
    pub(crate) concat: Option<Concat>,
    pub(crate) begun_by: BegunBy,
}

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The file exists.
    Complete,
    /// The file existed and was deleted.
    Deleted,
    /// The client aborted the session.
    Aborted,
    /// The session expired.
    Expired,
    /// The content has become a piece of another session's file.
    Joined,
}

/// The reason in the tombstone of an aborted session.
pub(crate) const ABORTED: &str = "aborted";
/// The reason in the tombstone of an expired session.
pub(crate) const EXPIRED: &str = "expired";
/// The reason in the tombstone of an upload that was joined to others.
pub(crate) const JOINED: &str = "joined";

impl End {
    /// Returns the end that a tombstone's reason stands for.
    pub(crate) fn of_reason(reason: &str) -> End {
        match reason {
            ABORTED => End::Aborted,
            EXPIRED => End::Expired,
            JOINED => End::Joined,
            _ => End::Deleted,
        }
    }
}

/// The status of a session, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// No part has arrived.
    Init,
    /// Some part has arrived.
    InProgress,
    /// The file exists, or existed until it was deleted.
    Complete,
    /// The session has expired.
    Failed,
    /// The client aborted the session.
    Aborted,
}

impl Session {
    /// Creates a session that begins now, with parts of `part_size` bytes, or with appends.
    pub(crate) fn new(file_id: String, file: Announced, part_size: Option<u64>, now_ms: u64, ttl: Duration) -> Session {
        Session {
            version: VERSION,
            file_id,
            original_filename: file.original_filename,
            content_type: file.content_type,
            total_size: file.total_size,
            part_size,
            sha256: file.sha256,
            relative_path: file.relative_path,
            upload_metadata: file.upload_metadata,
            concat: file.concat,
            begun_by: file.begun_by,
            created_at: now_ms,
            expires_at: now_ms.saturating_add(millis(ttl)),
            idempotency: None,
        }
    }

    /// Returns the record's value.
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document of texts and numbers")
    }

    /// Reads a record's value; `None` for an unknown version.
    pub(crate) fn read(value: &[u8]) -> Option<Session> {
        serde_json::from_slice(value).ok().filter(|session: &Session| session.version == VERSION)
    }

    /// Returns how the file is cut into parts; `None` for protocols that append.
    pub(crate) fn layout(&self) -> Option<Layout> {
        Some(Layout { total: self.total_size?, part_size: self.part_size? })
    }

    /// Returns the form of the content.
    pub(crate) fn form(&self) -> Form<'_> {
        match (&self.concat, self.layout()) {
            (Some(Concat::Final { partials, .. }), _) => Form::Joined(partials),
            (_, Some(layout)) => Form::Numbered(layout),
            (_, None) => Form::Appended,
        }
    }

    /// Whether the session is a piece of a concatenation, and makes no file of its own.
    pub(crate) fn is_partial(&self) -> bool {
        self.concat == Some(Concat::Partial)
    }

    /// Whether the session has expired for its client.
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_at
    }

    /// Whether the maintenance may end the session as expired.
    pub(crate) fn may_be_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_at.saturating_add(millis(CLOCKS_APART))
    }

    /// Whether the maintenance may delete the session's record.
    pub(crate) fn may_be_forgotten(&self, now_ms: u64, tombstone_ttl: Duration) -> bool {
        now_ms >= self.expires_at.saturating_add(millis(tombstone_ttl.max(CLOCKS_APART)))
    }

    /// Returns the status, given the session's end and whether a part has arrived.
    pub(crate) fn status(&self, end: Option<End>, now_ms: u64, has_parts: bool) -> Status {
        match end {
            Some(End::Complete | End::Deleted | End::Joined) => Status::Complete,
            Some(End::Aborted) => Status::Aborted,
            Some(End::Expired) => Status::Failed,
            None if self.is_over(now_ms) => Status::Failed,
            None if has_parts => Status::InProgress,
            None => Status::Init,
        }
    }
}

/// Returns the time before which a tombstone must have been put to be forgotten. The record of its session goes first,
/// so no session is ever without both.
pub(crate) fn tombstones_before(now_ms: u64, session_ttl: Duration, tombstone_ttl: Duration) -> u64 {
    now_ms.saturating_sub(millis(session_ttl) + millis(tombstone_ttl.max(CLOCKS_APART)))
}

/// The parts of a file that have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The part numbers, as runs.
    pub(crate) runs: Vec<Run>,
    /// The number of bytes in sum.
    pub(crate) bytes: u64,
}

impl Received {
    /// Summarizes numbers and sizes of parts in ascending order. Numbers beyond the layout are ignored.
    pub(crate) fn new(layout: Layout, parts: impl IntoIterator<Item = (u32, u64)>) -> Received {
        let mut bytes = 0;
        let numbers = parts.into_iter().filter(|(number, _)| layout.extent(*number).is_some());
        let runs = runs(numbers.inspect(|(_, size)| bytes += size).map(|(number, _)| number));
        Received { runs, bytes }
    }

    /// Returns the summary of a complete file.
    pub(crate) fn whole(layout: Layout) -> Received {
        let count = layout.parts();
        Received { runs: if count == 0 { Vec::new() } else { vec![[1, count]] }, bytes: layout.total }
    }

    /// Returns the missing part numbers, as runs.
    pub(crate) fn missing(&self, layout: Layout) -> Vec<Run> {
        gaps(&self.runs, layout.parts())
    }
}

/// Converts a duration to milliseconds.
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
            total_size: Some(10),
            ..Announced::default()
        };
        Session::new("file".to_owned(), file, Some(4), created_at, ttl)
    }

    #[test]
    fn a_record_says_all_of_it_and_no_other_version_is_taken_for_it() {
        let one = session(7, Duration::from_secs(1));
        assert_eq!(Session::read(&one.write()), Some(one.clone()));
        let open = Session { total_size: None, part_size: None, ..one.clone() };
        assert_eq!(Session::read(&open.write()), Some(open.clone()));
        assert_eq!((open.form(), one.form()), (Form::Appended, Form::Numbered(Layout { total: 10, part_size: 4 })));
        let partials = vec!["a".to_owned(), "b".to_owned()];
        let joined = Concat::Final { partials: partials.clone(), field: "final;/tus/a /tus/b".to_owned() };
        let joined = Session { concat: Some(joined), ..open.clone() };
        assert_eq!(Session::read(&joined.write()).as_ref().map(Session::form), Some(Form::Joined(&partials)));
        assert!(Session { concat: Some(Concat::Partial), ..open }.is_partial() && !joined.is_partial());
        let later = Session { version: 2, ..one };
        assert_eq!(Session::read(&later.write()), None);
        for other in ["", "{}", "[]", "null", "{\"version\":1}"] {
            assert_eq!(Session::read(other.as_bytes()), None, "{other}");
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
