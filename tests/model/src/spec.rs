//! The states of each name, and the answers that the contract allows in them.
//!
//! An operation on several names (an assembly, the deletion of a session, a page of a listing) is an act at each of
//! them.

use crate::content::Stamp;
use crate::linear::State;

/// The state of a part number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SlotState {
    Empty,
    Part { write: Write, stamp: Stamp },
}

/// The write of a part: known by its token, or, until the token is observed, by the put that never returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Token(String),
    Unanswered(u64),
}

/// An act on a part number.
#[derive(Clone, Debug)]
pub(crate) enum SlotAct {
    /// A put stored its content.
    Put { write: Write, stamp: Stamp },
    /// A put found its content stored.
    Replayed { token: String, stamp: Stamp, answered: bool },
    /// A put was refused because of the existing part; with a stamp, only if the content differs.
    Conflict { other_than: Option<Stamp> },
    /// A read or listing saw a part. `answered`: the put that made it has returned its token.
    Seen { token: String, stamp: Stamp, answered: bool },
    /// The same of a listing that does not tell the content.
    Listed { token: String, size: u64, answered: bool },
    /// Nothing is there.
    Absent,
    /// That write is not there.
    NotThere { token: String },
    /// That write was there and has been taken away.
    Taken { token: String, answered: bool },
    /// Whatever was there has been taken away.
    Cleared,
    /// That write was there, and its content was used.
    Used { token: String, answered: bool },
    /// Of what that write made nothing is there any more, whoever has taken it away.
    Ended { token: String },
}

impl SlotState {
    /// The state with its token known, if it can be that token's.
    fn learn(&self, token: &str, answered: bool, fits: impl Fn(&Stamp) -> bool) -> Option<SlotState> {
        match self {
            SlotState::Part { write: Write::Token(there), stamp } if there == token && fits(stamp) => {
                Some(self.clone())
            }
            SlotState::Part { write: Write::Unanswered(_), stamp } if !answered && fits(stamp) => {
                Some(SlotState::Part { write: Write::Token(token.to_owned()), stamp: *stamp })
            }
            _ => None,
        }
    }
}

impl State for SlotState {
    type Act = SlotAct;

    fn only_seen(act: &SlotAct) -> bool {
        !matches!(act, SlotAct::Put { .. } | SlotAct::Taken { .. } | SlotAct::Cleared | SlotAct::Ended { .. })
    }

    fn after(&self, act: &SlotAct) -> Option<SlotState> {
        let same = |holds: bool| holds.then(|| self.clone());
        match act {
            SlotAct::Put { write, stamp } => {
                (*self == SlotState::Empty).then(|| SlotState::Part { write: write.clone(), stamp: *stamp })
            }
            SlotAct::Replayed { token, stamp, answered } | SlotAct::Seen { token, stamp, answered } => {
                self.learn(token, *answered, |there| there == stamp)
            }
            SlotAct::Listed { token, size, answered } => self.learn(token, *answered, |there| there.size == *size),
            SlotAct::Conflict { other_than } => {
                same(matches!(self, SlotState::Part { stamp, .. } if other_than.as_ref() != Some(stamp)))
            }
            SlotAct::Absent => same(*self == SlotState::Empty),
            SlotAct::NotThere { token } => {
                same(!matches!(self, SlotState::Part { write: Write::Token(there), .. } if there == token))
            }
            SlotAct::Taken { token, answered } => self.learn(token, *answered, |_| true).map(|_| SlotState::Empty),
            SlotAct::Cleared => Some(SlotState::Empty),
            SlotAct::Used { token, answered } => self.learn(token, *answered, |_| true),
            SlotAct::Ended { token } => match self {
                SlotState::Part { write: Write::Token(there), .. } if there == token => Some(SlotState::Empty),
                // Which write this is nobody knows yet.
                SlotState::Part { write: Write::Unanswered(_), .. } => None,
                _ => Some(self.clone()),
            },
        }
    }
}

/// What stands under a file id. An object is known by the operation that made it, which its metadata names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileState {
    Empty,
    Object { maker: u64, stamp: Stamp },
    Gone { reason: String },
}

/// What is done to or seen of a file id.
#[derive(Clone, Debug)]
pub(crate) enum FileAct {
    /// A put or assembly made an object.
    Made { maker: u64, stamp: Stamp },
    /// A put or assembly was refused because of the object there; with a stamp, only of content that is not that.
    Conflict { other_than: Option<Stamp> },
    /// An object is there, says a listing.
    Listed,
    /// An object is there.
    Seen { maker: u64, stamp: Stamp },
    /// A tombstone is there.
    Gone { reason: String },
    /// Neither is there.
    Absent,
    /// No object is there.
    NoObject,
    /// A tombstone was put where nothing was.
    Voided { reason: String },
    /// Something is there, of whatever kind.
    Decided,
    /// An object became a tombstone.
    Deleted,
}

impl State for FileState {
    type Act = FileAct;

    fn only_seen(act: &FileAct) -> bool {
        !matches!(act, FileAct::Made { .. } | FileAct::Voided { .. } | FileAct::Deleted)
    }

    fn after(&self, act: &FileAct) -> Option<FileState> {
        let same = |holds: bool| holds.then(|| self.clone());
        let empty = *self == FileState::Empty;
        match act {
            FileAct::Made { maker, stamp } => empty.then_some(FileState::Object { maker: *maker, stamp: *stamp }),
            FileAct::Conflict { other_than } => {
                same(matches!(self, FileState::Object { stamp, .. } if other_than.as_ref() != Some(stamp)))
            }
            FileAct::Listed => same(matches!(self, FileState::Object { .. })),
            FileAct::Seen { maker, stamp } => same(*self == FileState::Object { maker: *maker, stamp: *stamp }),
            FileAct::Gone { reason } => same(*self == FileState::Gone { reason: reason.clone() }),
            FileAct::Absent => same(empty),
            FileAct::NoObject => same(!matches!(self, FileState::Object { .. })),
            FileAct::Voided { reason } => empty.then(|| FileState::Gone { reason: reason.clone() }),
            FileAct::Decided => same(!empty),
            FileAct::Deleted => {
                matches!(self, FileState::Object { .. }).then(|| FileState::Gone { reason: "deleted".to_owned() })
            }
        }
    }
}

/// What stands under a record's name. A value is known by the operation that wrote it, which it names; the version of
/// one that never answered is not known until somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RecordState {
    Empty,
    Record { writer: u64, version: Option<String> },
}

/// What is done to or seen of a record.
#[derive(Clone, Debug)]
pub(crate) enum RecordAct {
    /// Created where nothing was.
    Created { writer: u64, version: Option<String> },
    /// Replaced, from a version to another.
    Replaced { from: String, writer: u64, version: Option<String> },
    /// It is there.
    Seen { writer: u64, version: String },
    /// It is there, says a listing or a refused creation.
    Exists,
    /// It is there with another version.
    NotVersion { version: String },
    /// It is not there.
    Absent,
    /// It was there, with that version if one is given, and has been deleted.
    Deleted { version: Option<String> },
}

impl RecordState {
    fn has(&self, version: &str) -> bool {
        matches!(self, RecordState::Record { version: there, .. } if there.as_deref() == Some(version))
    }
}

impl State for RecordState {
    type Act = RecordAct;

    fn only_seen(act: &RecordAct) -> bool {
        !matches!(act, RecordAct::Created { .. } | RecordAct::Replaced { .. } | RecordAct::Deleted { .. })
    }

    fn after(&self, act: &RecordAct) -> Option<RecordState> {
        let same = |holds: bool| holds.then(|| self.clone());
        let exists = *self != RecordState::Empty;
        match act {
            RecordAct::Created { writer, version } => {
                (!exists).then(|| RecordState::Record { writer: *writer, version: version.clone() })
            }
            RecordAct::Replaced { from, writer, version } => {
                self.has(from).then(|| RecordState::Record { writer: *writer, version: version.clone() })
            }
            RecordAct::Seen { writer, version } => match self {
                RecordState::Record { writer: there, version: known }
                    if there == writer && known.as_ref().is_none_or(|known| known == version) =>
                {
                    Some(RecordState::Record { writer: *writer, version: Some(version.clone()) })
                }
                _ => None,
            },
            RecordAct::Exists => same(exists),
            // A version that nobody saw yet is not one that somebody names.
            RecordAct::NotVersion { version } => same(exists && !self.has(version)),
            RecordAct::Absent => same(!exists),
            RecordAct::Deleted { version: None } => exists.then_some(RecordState::Empty),
            RecordAct::Deleted { version: Some(version) } => self.has(version).then_some(RecordState::Empty),
        }
    }
}
