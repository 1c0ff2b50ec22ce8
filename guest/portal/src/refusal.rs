//! Why operations on sessions fail, for all protocols.

use crate::{
    policy::parts::{BadPartSize, Run},
    session::End,
};
use portico_guest::Error;

/// Why an operation on a session failed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No session has that id.
    Unknown,
    /// The session has ended.
    Ended(End),
    /// Parts are missing.
    Incomplete(Vec<Run>),
    /// Bytes are missing. Carries the number of bytes that have arrived.
    Short(u64),
    /// An append is not at the end of the content. Carries the offset of that end.
    Offset(u64),
    /// The length of the upload is known, and is another one.
    Length,
    /// The upload is of another kind: it is a concatenation, or has numbered parts.
    Kind,
    /// An upload that is to be joined does not exist, has ended, or is no partial one.
    Partial,
    /// An upload that is to be joined was given twice, or belongs to another concatenation.
    Used,
    /// The session has as many appends as it can have.
    Appends,
    /// The number has a part of other content.
    OtherContent,
    /// Another finalize of the session is still running.
    Busy,
    /// The session's record has an unknown version.
    Unreadable,
    /// The file exceeds the store's limit, which is the payload, in bytes.
    TooLarge(u64),
    /// The part size that the client chose is not allowed.
    PartSize(BadPartSize),
    /// The store failed.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Store(error)
    }
}
