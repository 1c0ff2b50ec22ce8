//! Rows of records.

use crate::{Error, Record, RecordName, Result, Scope, Token};
use rusqlite::{Connection, OptionalExtension, params};

/// Creates a record; returns its version.
pub(crate) fn create(conn: &Connection, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
    let version = Token::random()?;
    let made = conn.prepare_cached("INSERT OR IGNORE INTO records VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        scope.as_str(),
        name.as_str(),
        version.as_str(),
        value
    ])?;
    if made == 1 { Ok(version.as_str().to_owned()) } else { Err(Error::Conflict) }
}

/// The record of a name.
pub(crate) fn get(conn: &Connection, scope: &Scope, name: &RecordName) -> Result<Record> {
    let found = conn
        .prepare_cached("SELECT version, value FROM records WHERE scope = ?1 AND name = ?2")?
        .query_row([scope.as_str(), name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
    let (version, value) = found.optional()?.ok_or(Error::NotFound)?;
    Ok(Record { name: name.clone(), version, value })
}

/// Replaces the value of a record of that version; returns the new version.
pub(crate) fn replace(
    conn: &Connection,
    scope: &Scope,
    name: &RecordName,
    version: &str,
    value: &[u8],
) -> Result<String> {
    current(conn, scope, name, version)?.then_some(()).ok_or(Error::NotFound)?;
    let next = Token::random()?;
    conn.prepare_cached("UPDATE records SET version = ?3, value = ?4 WHERE scope = ?1 AND name = ?2")?
        .execute(params![scope.as_str(), name.as_str(), next.as_str(), value])?;
    Ok(next.as_str().to_owned())
}

/// Deletes a record, or only its given version; true if it existed.
pub(crate) fn delete(conn: &Connection, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool> {
    if let Some(version) = version {
        current(conn, scope, name, version)?;
    }
    let deleted = conn
        .prepare_cached("DELETE FROM records WHERE scope = ?1 AND name = ?2")?
        .execute([scope.as_str(), name.as_str()])?;
    Ok(deleted == 1)
}

/// Whether a record exists.
///
/// # Errors
/// [`Error::Conflict`] if it has another version.
fn current(conn: &Connection, scope: &Scope, name: &RecordName, version: &str) -> Result<bool> {
    let found = conn
        .prepare_cached("SELECT version FROM records WHERE scope = ?1 AND name = ?2")?
        .query_row([scope.as_str(), name.as_str()], |row| row.get::<_, String>(0));
    match found.optional()? {
        None => Ok(false),
        Some(there) if there == version => Ok(true),
        Some(_) => Err(Error::Conflict),
    }
}

/// The query of a page, which searches and does not sort.
pub(crate) const LIST: &str =
    "SELECT name FROM records WHERE scope = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4";

/// Names that begin with a prefix, in byte order, from the one after `after`.
pub(crate) fn list(
    conn: &Connection,
    scope: &Scope,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<RecordName>> {
    // One bound on each side, so that a page costs the same wherever it begins. No name contains a byte above `~`, so
    // all names with the prefix come before the prefix followed by one; no name contains a byte below `-`, so the name
    // after `after` is not before `after` followed by one.
    let from = after.map(|after| format!("{after}\u{1}")).filter(|from| from.as_str() > prefix);
    let end = format!("{prefix}\u{7f}");
    let mut statement = conn.prepare_cached(LIST)?;
    let from = from.as_deref().unwrap_or(prefix);
    let rows = statement.query_map(params![scope.as_str(), from, end, limit], |row| row.get::<_, String>(0))?;
    rows.map(|name| RecordName::parse(&name?)).collect()
}
