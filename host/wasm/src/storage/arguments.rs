//! Checks of the arguments of operations, the same in each generation of the interface.

use portico_store::{Argument, Cursor, Error, FileId, RecordName, Result, TempKey, limits};
use std::collections::HashSet;

/// A kind of listing. The first byte of a cursor marks its kind, so that cursors of another kind are rejected.
#[derive(Clone, Copy)]
pub(crate) enum Listing {
    Parts,
    Sessions,
    Finals,
    Records,
    Gone,
}

impl Listing {
    fn mark(self) -> char {
        match self {
            Listing::Parts => 'p',
            Listing::Sessions => 's',
            Listing::Finals => 'f',
            Listing::Records => 'r',
            Listing::Gone => 'g',
        }
    }

    fn read(self, cursor: &str) -> Result<Cursor> {
        Cursor::parse(cursor.strip_prefix(self.mark()).ok_or(Error::InvalidArgument(Argument::Cursor))?)
    }

    pub(crate) fn write(self, next: Option<Cursor>) -> Option<String> {
        next.map(|cursor| format!("{}{cursor}", self.mark()))
    }
}

/// Checks a cursor and a page size.
pub(crate) fn page(of: Listing, after: Option<String>, limit: u32) -> Result<(Option<Cursor>, u32)> {
    let after = after.map(|cursor| of.read(&cursor)).transpose()?;
    if (1..=limits::PAGE_MAX).contains(&limit) {
        Ok((after, limit))
    } else {
        Err(Error::InvalidArgument(Argument::Limit))
    }
}

/// Checks the parts of an assembly: each once.
pub(crate) fn parts(keys: Vec<String>) -> Result<Vec<TempKey>> {
    let invalid = Error::InvalidArgument(Argument::Parts);
    if keys.len() > limits::ASSEMBLY_PARTS_MAX {
        return Err(invalid);
    }
    if keys.iter().collect::<HashSet<_>>().len() < keys.len() {
        return Err(invalid);
    }
    keys.iter().map(|key| TempKey::parse(key)).collect()
}

/// Reads the parts of a join.
pub(crate) fn joined(keys: &[String]) -> Result<Vec<TempKey>> {
    if keys.len() > limits::JOIN_PARTS_MAX {
        return Err(Error::InvalidArgument(Argument::Parts));
    }
    keys.iter().map(|key| TempKey::parse(key)).collect()
}

/// Checks the file ids of `stat-finals`.
pub(crate) fn files(ids: &[String]) -> Result<Vec<FileId>> {
    if ids.len() > limits::PAGE_MAX as usize {
        return Err(Error::InvalidArgument(Argument::Limit));
    }
    ids.iter().map(|id| FileId::parse(id)).collect()
}

/// Checks that a text is a leading piece of some record's name: a name, or a name with one more letter.
pub(crate) fn record_prefix(prefix: &str) -> Result<()> {
    if prefix.is_empty() || RecordName::parse(prefix).is_ok() {
        return Ok(());
    }
    RecordName::parse(&format!("{prefix}a")).map(|_| ())
}

/// Checks the size of a record's value.
pub(crate) fn record_value(value: &[u8]) -> Result<()> {
    if value.len() <= limits::RECORD_VALUE_MAX {
        Ok(())
    } else {
        Err(Error::TooLarge { limit: limits::RECORD_VALUE_MAX as u64 })
    }
}
