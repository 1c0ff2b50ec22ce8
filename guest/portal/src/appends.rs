//! The content of sessions that grow by appends, in the store.
//!
//! Invariants: an append is a part whose number follows from its place in the row of appends, so of two appends at one
//! offset one wins; no step reads a listing that grows with the number of appends.

use crate::policy::appends::{APPENDS_MAX, FAN, LEVEL_MAX, Step, Walk, covered, number, position};
use portico_guest::{Error, ListedPart, Result, Store};

/// Entries of a listing that a join looks at: the parts of one level, and as many that an earlier join left behind.
const JOIN_PAGE: u32 = 4 * FAN;

/// The end of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The offset of the next append, in bytes.
    pub(crate) offset: u64,
    /// The index of the next append.
    next: u32,
    /// The temp key of the newest part.
    previous: Option<String>,
}

impl Tail {
    /// Finds the end of a session's content. One or two reads, however long the session is.
    pub(crate) fn find(store: &Store, session: &str) -> Result<Tail> {
        // A part that is joined between the two reads is found under its new number.
        for _ in 0..3 {
            let Some(newest) = store.list_temp_parts(session, None, 1)?.items.pop() else { return Ok(Tail::default()) };
            let begin = match newest.offset {
                Some(offset) => offset,
                None => match store.stat_temp_part(&newest.temp_key) {
                    Err(Error::NotFound) => continue,
                    part => part?.offset.unwrap_or_default(),
                },
            };
            let offset = begin + newest.size;
            let (last, _) = position(newest.part_number);
            return Ok(Tail { offset, next: last + 1, previous: Some(newest.temp_key) });
        }
        Err(Error::Unavailable { retry_after: None })
    }

    /// Returns the part number of the next append; `None` if the session has as many appends as it can have.
    pub(crate) fn next_number(&self) -> Option<u32> {
        (self.next < APPENDS_MAX).then(|| number(self.next, 0))
    }

    /// Returns the temp key of the newest part.
    pub(crate) fn previous(&self) -> Option<String> {
        self.previous.clone()
    }
}

/// The parts of a session's content, in order, and their size in sum.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) temp_keys: Vec<String>,
    /// In bytes.
    pub(crate) size: u64,
}

impl Content {
    /// Lists the content of a session.
    pub(crate) fn list(store: &Store, session: &str) -> Result<Content> {
        let (mut walk, mut content) = (Walk::default(), Content::default());
        for part in store.parts(session) {
            let part = part?;
            match walk.step(part.part_number) {
                Step::Take => {
                    content.size += part.size;
                    content.temp_keys.push(part.temp_key);
                }
                Step::Skip => {}
                // A listing is no snapshot: a join has replaced parts meanwhile.
                Step::Gap => return Err(Error::NotFound),
            }
        }
        if !walk.is_done() && !content.temp_keys.is_empty() {
            return Err(Error::NotFound);
        }
        content.temp_keys.reverse();
        Ok(content)
    }
}

/// Joins the parts that end with the append of a number, where that append completes a block. A join is a service to
/// later steps: if one fails, the parts stay as they are.
pub(crate) fn join(store: &Store, session: &str, append: u32) {
    let (last, _) = position(append);
    let limit = store.info().max_join_size;
    for level in 1..=LEVEL_MAX {
        let Some(count) = covered(level).filter(|count| (last + 1) % count == 0) else { return };
        match block(store, session, last, last + 1 - count) {
            Ok(Some(parts)) if parts.len() > 1 && parts.iter().map(|part| part.size).sum::<u64>() <= limit => {
                let keys: Vec<String> = parts.into_iter().rev().map(|part| part.temp_key).collect();
                if store.join_temp_parts(session, number(last, level), &keys).is_err() {
                    return;
                }
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// Returns the newest parts, down to the one that begins with append `first`, newest first. `None` if the page does not
/// reach that far.
fn block(store: &Store, session: &str, last: u32, first: u32) -> Result<Option<Vec<ListedPart>>> {
    let mut walk = Walk::from(last);
    let mut parts = Vec::new();
    for part in store.list_temp_parts(session, None, JOIN_PAGE)?.items {
        match walk.step(part.part_number) {
            Step::Take => parts.push(part),
            Step::Skip => {}
            Step::Gap => return Ok(None),
        }
        if walk.reaches(first) {
            return Ok(Some(parts));
        }
    }
    Ok(None)
}
