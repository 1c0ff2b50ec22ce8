//! Notes: records that say which content an operation is about to link or delete.
//!
//! Invariant: a note exists before the operation creates or unlinks content, and until all content that no record names is
//! removed. So content without a record has a note at any moment, after a crash too.

use crate::layout::words;
use portico_guest::clock;

/// What an operation is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Create content and link it under a name, in place of other content.
    Write {
        /// The file id of the new content.
        file: String,
        /// The identifier of the container's name.
        container_key: String,
        /// The container's id.
        container: String,
        /// The identifier of the object's name.
        object: String,
        /// The file id of the content that is replaced.
        old: Option<String>,
    },
    /// Unlink content and delete it.
    Delete {
        /// The file id of the content.
        file: String,
        /// The container's id.
        container: String,
        /// The identifier of the object's name.
        object: String,
    },
    /// Delete a container with all its objects.
    DeleteContainer {
        /// The identifier of the container's name.
        container_key: String,
        /// The container's id.
        container: String,
    },
}

/// The prefixes of notes, in the order of the round.
pub(crate) const NOTES: [&str; 3] = ["w/", "x/", "d/"];

impl Note {
    /// Returns the name of the note's record.
    pub(crate) fn record(&self) -> String {
        match self {
            Note::Write { file, .. } => format!("w/{file}"),
            Note::Delete { file, .. } => format!("x/{file}"),
            Note::DeleteContainer { container, .. } => format!("d/{container}"),
        }
    }

    /// Returns the value of the note's record, with the current time.
    pub(crate) fn write(&self) -> Vec<u8> {
        self.write_at(clock::now_ms())
    }

    fn write_at(&self, now: u64) -> Vec<u8> {
        match self {
            Note::Write { container_key, container, object, old, .. } => {
                format!("1 {now} {container_key} {container} {object} {}", old.as_deref().unwrap_or("-"))
            }
            Note::Delete { container, object, .. } => format!("1 {now} {container} {object}"),
            Note::DeleteContainer { container_key, .. } => format!("1 {now} {container_key}"),
        }
        .into_bytes()
    }

    /// Reads a record. Returns the note and its time.
    pub(crate) fn read(record: &str, value: &[u8]) -> Option<(Note, u64)> {
        let (kind, id) = record.split_once('/')?;
        let (id, value) = (id.to_owned(), std::str::from_utf8(value).ok()?);
        let (version, time, note) = match kind {
            "w" => {
                let [version, time, container_key, container, object, old] = words(value)?.map(str::to_owned);
                let old = Some(old).filter(|old| old != "-");
                (version, time, Note::Write { file: id, container_key, container, object, old })
            }
            "x" => {
                let [version, time, container, object] = words(value)?.map(str::to_owned);
                (version, time, Note::Delete { file: id, container, object })
            }
            "d" => {
                let [version, time, container_key] = words(value)?.map(str::to_owned);
                (version, time, Note::DeleteContainer { container_key, container: id })
            }
            _ => return None,
        };
        (version == "1").then_some((note, time.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_return_what_they_were_made_of() {
        let text = str::to_owned;
        let write = |old| Note::Write {
            file: text("f"),
            container_key: text("nk"),
            container: text("c"),
            object: text("no"),
            old,
        };
        let notes = [
            write(None),
            write(Some(text("e"))),
            Note::Delete { file: text("f"), container: text("c"), object: text("no") },
            Note::DeleteContainer { container_key: text("nk"), container: text("c") },
        ];
        for note in notes {
            let record = note.record();
            assert!(NOTES.iter().any(|prefix| record.starts_with(prefix)));
            assert_eq!(Note::read(&record, &note.write_at(5)), Some((note, 5)));
        }
    }

    #[test]
    fn foreign_records_are_none() {
        for (record, value) in [("w/f", "1 5 a b c"), ("x/f", ""), ("d/f", "2 5 a"), ("y/f", "1 5 a"), ("d", "1 5 a")] {
            assert_eq!(Note::read(record, value.as_bytes()), None);
        }
    }
}
