//! Pages of listings, and their cursors.
//!
//! A cursor is a letter for the kind of the listing, and the last entry of the page before.

use crate::bindings::portico::storage::storage::{Argument, Error};

/// Most entries of a page: the limit of the contract.
const LIMIT_MAX: u32 = 1_000;

/// Returns the page after a cursor, and the cursor of the next page. `entries` are in the order of their texts.
pub(super) fn page<T>(
    kind: char,
    after: Option<&str>,
    limit: u32,
    entries: impl Iterator<Item = (String, T)>,
) -> Result<(Vec<T>, Option<String>), Error> {
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::InvalidArgument(Argument::Limit));
    }
    let cursor = |cursor: &str| match cursor.strip_prefix(kind) {
        Some(last) if !last.is_empty() => Ok(last.to_owned()),
        _ => Err(Error::InvalidArgument(Argument::Cursor)),
    };
    let after = after.map(cursor).transpose()?;
    let mut entries = entries.skip_while(|(text, _)| after.as_ref().is_some_and(|last| text <= last));
    let (mut items, mut last) = (Vec::new(), String::new());
    for (text, item) in entries.by_ref().take(limit as usize) {
        items.push(item);
        last = text;
    }
    let next = entries.next().map(|_| format!("{kind}{last}"));
    Ok((items, next))
}
