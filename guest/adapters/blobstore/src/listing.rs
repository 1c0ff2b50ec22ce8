//! The names of the objects of a container, page by page.

use crate::bindings::exports::wasi::blobstore::container as wit;
use crate::layout::{Object, objects_of};
use crate::limits::{NAMES_BYTES, NAMES_MAX};
use crate::places::{found, store, text};
use portico_adapter_common::decode;
use portico_guest::Store;
use std::cell::RefCell;

/// A listing. Objects that are created or deleted meanwhile may be in it or not.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Names {
    prefix: String,
    position: RefCell<Position>,
}

/// Where a listing continues.
enum Position {
    /// After a cursor; without one at the beginning.
    At(Option<String>),
    /// All names were returned.
    End,
}

impl Names {
    /// Begins a listing of the container of that id.
    pub(crate) fn of(container: &str) -> Names {
        Names { prefix: objects_of(container), position: RefCell::new(Position::At(None)) }
    }

    /// Takes at most `limit` records. Returns the identifiers, and whether that was the end.
    fn take(&self, store: &Store, limit: u64) -> Result<(Vec<String>, bool), String> {
        let mut position = self.position.borrow_mut();
        let Position::At(after) = &*position else { return Ok((Vec::new(), true)) };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(NAMES_MAX);
        if limit == 0 {
            return Ok((Vec::new(), false));
        }
        let page = store.list_records(&self.prefix, after.as_deref(), limit).map_err(text)?;
        *position = page.next.map_or(Position::End, |next| Position::At(Some(next)));
        let is_end = matches!(*position, Position::End);
        let identifier = |record: String| record.strip_prefix(&self.prefix).unwrap_or_default().to_owned();
        Ok((page.items.into_iter().map(identifier).collect(), is_end))
    }

    /// Returns the name of an object. The record has a name that its identifier lacks, unless it was deleted meanwhile.
    fn name(&self, store: &Store, identifier: &str) -> Result<Option<String>, String> {
        if let Some(name) = decode(identifier) {
            return Ok(Some(name));
        }
        let record = found(store.get_record(&format!("{}{identifier}", self.prefix))).map_err(text)?;
        Ok(record.and_then(|record| Object::read(&record.value)).map(|(_, name)| name))
    }
}

impl wit::GuestStreamObjectNames for Names {
    fn read_stream_object_names(&self, len: u64) -> Result<(Vec<String>, bool), String> {
        // Long names come in few, so that they have little memory.
        const STEP: u64 = (NAMES_BYTES / crate::limits::NAME_MAX) as u64;
        let store = store()?;
        let (mut names, mut bytes, mut is_end) = (Vec::new(), 0, false);
        let most = len.min(NAMES_MAX.into());
        while !is_end && (names.len() as u64) < most && bytes < NAMES_BYTES {
            let (identifiers, end) = self.take(&store, STEP.max(most / 4).min(most - names.len() as u64))?;
            is_end = end;
            for identifier in identifiers {
                if let Some(name) = self.name(&store, &identifier)? {
                    bytes += name.len();
                    names.push(name);
                }
            }
        }
        Ok((names, is_end || matches!(*self.position.borrow(), Position::End)))
    }

    fn skip_stream_object_names(&self, num: u64) -> Result<(u64, bool), String> {
        let store = store()?;
        let (mut skipped, mut is_end) = (0, matches!(*self.position.borrow(), Position::End));
        while !is_end && skipped < num {
            let (identifiers, end) = self.take(&store, num - skipped)?;
            skipped += identifiers.len() as u64;
            is_end = end;
        }
        Ok((skipped, is_end))
    }
}
