//! Rows of final objects, and tombstones.

use crate::local::files::layout;
use crate::{Digest, Error, FileId, FinalReceipt, Result, Scope};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

/// The state of a file id.
pub(crate) enum FinalRow {
    /// An object.
    Live(FinalReceipt),
    /// A tombstone, with its reason.
    Gone(String),
}

impl FinalRow {
    /// Returns the receipt of an object.
    ///
    /// # Errors
    /// [`Error::Gone`] for a tombstone, [`Error::NotFound`] for nothing.
    pub(in crate::local) fn live(row: Option<FinalRow>) -> Result<FinalReceipt> {
        match row {
            Some(FinalRow::Live(receipt)) => Ok(receipt),
            Some(FinalRow::Gone(reason)) => Err(Error::Gone(reason)),
            None => Err(Error::NotFound),
        }
    }
}

macro_rules! columns {
    () => {
        "SELECT file, size, sha256, content_type, metadata, created_at, gone"
    };
}

/// The queries. Each searches; none scans a table, and none sorts.
pub(crate) const GET: &str = concat!(columns!(), " FROM finals WHERE scope = ?1 AND file = ?2");
pub(crate) const EXISTS: &str = "SELECT 1 FROM finals WHERE scope = ?1 AND file = ?2";
pub(crate) const LIST: &str =
    "SELECT file FROM finals WHERE scope = ?1 AND file > ?2 AND gone IS NULL ORDER BY file LIMIT ?3";
pub(crate) const NEXT_OF_ALL: &str = concat!(
    columns!(),
    ", scope FROM finals WHERE (scope, file) > (?1, ?2) AND gone IS NULL ORDER BY scope, file LIMIT ?3"
);
pub(crate) const DELETED: &str =
    "SELECT scope, file FROM finals WHERE gone IS NOT NULL AND has_data = 1 ORDER BY scope, file LIMIT ?1";

pub(crate) const GONE: &str = "SELECT file, has_data FROM finals
    WHERE scope = ?1 AND file > ?2 AND gone IS NOT NULL AND created_at < ?3 ORDER BY file LIMIT ?4";

fn row(scope: &Scope, row: &Row<'_>) -> rusqlite::Result<FinalRow> {
    use rusqlite::types::Type;
    if let Some(reason) = row.get::<_, Option<String>>(6)? {
        return Ok(FinalRow::Gone(reason));
    }
    let wrong = |at, ty, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(at, ty, error)
    };
    let file = FileId::parse(&row.get::<_, String>(0)?).map_err(|error| wrong(0, Type::Text, error.into()))?;
    let sha256 = row.get::<_, Vec<u8>>(2)?;
    Ok(FinalRow::Live(FinalReceipt {
        key: layout::final_key(scope, &file),
        file,
        size: row.get(1)?,
        sha256: Digest::try_from(&sha256[..]).map_err(|error| wrong(2, Type::Blob, error.into()))?,
        content_type: row.get(3)?,
        metadata: read_metadata(&row.get::<_, String>(4)?),
        created_at: row.get(5)?,
        replayed: false,
    }))
}

/// Pairs as lines of `key=value`: no key contains an equals sign, and no pair a control character.
fn write_metadata(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

fn read_metadata(text: &str) -> Vec<(String, String)> {
    text.split_terminator('\n')
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What stands under an id.
pub(crate) fn get(conn: &Connection, scope: &Scope, file: &FileId) -> Result<Option<FinalRow>> {
    let found = conn.prepare_cached(GET)?.query_row([scope.as_str(), file.as_str()], |found| row(scope, found));
    Ok(found.optional()?)
}

/// Whether anything stands under an id.
pub(crate) fn exists(conn: &Connection, scope: &Scope, file: &FileId) -> Result<bool> {
    Ok(conn.prepare_cached(EXISTS)?.exists([scope.as_str(), file.as_str()])?)
}

/// Creates the row of an object. Returns an existing row, and changes nothing then.
pub(crate) fn insert(conn: &Connection, scope: &Scope, receipt: &FinalReceipt) -> Result<Option<FinalRow>> {
    if let Some(there) = get(conn, scope, &receipt.file)? {
        return Ok(Some(there));
    }
    conn.prepare_cached(
        "INSERT INTO finals VALUES (:scope, :file, :size, :sha256, :content_type, :metadata, :created_at, NULL, 1)",
    )?
    .execute(named_params! {
        ":scope": scope.as_str(),
        ":file": receipt.file.as_str(),
        ":size": receipt.size,
        ":sha256": receipt.sha256.0.as_slice(),
        ":content_type": receipt.content_type,
        ":metadata": write_metadata(&receipt.metadata),
        ":created_at": receipt.created_at,
    })?;
    Ok(None)
}

/// Creates a tombstone where no row exists; true if it did.
pub(crate) fn void(conn: &Connection, scope: &Scope, file: &FileId, reason: &str, now_ms: u64) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO finals VALUES (?1, ?2, 0, NULL, NULL, '', ?3, ?4, 0)";
    Ok(conn.prepare_cached(sql)?.execute(params![scope.as_str(), file.as_str(), now_ms, reason])? == 1)
}

/// Replaces an object by a tombstone; true if the object existed.
pub(crate) fn delete(conn: &Connection, scope: &Scope, file: &FileId, now_ms: u64) -> Result<bool> {
    let sql = "UPDATE finals SET gone = 'deleted', sha256 = NULL, content_type = NULL, metadata = '', created_at = ?3
               WHERE scope = ?1 AND file = ?2 AND gone IS NULL";
    Ok(conn.prepare_cached(sql)?.execute(params![scope.as_str(), file.as_str(), now_ms])? == 1)
}

/// Records that the data of a deleted object was removed.
pub(crate) fn data_removed(conn: &Connection, scope: &Scope, file: &FileId) -> Result<()> {
    conn.prepare_cached("UPDATE finals SET has_data = 0 WHERE scope = ?1 AND file = ?2 AND gone IS NOT NULL")?
        .execute([scope.as_str(), file.as_str()])?;
    Ok(())
}

/// Deleted objects whose data may be there.
pub(crate) fn deleted_with_data(conn: &Connection, limit: u32) -> Result<Vec<(Scope, FileId)>> {
    let mut statement = conn.prepare_cached(DELETED)?;
    let rows = statement.query_map([limit], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (scope, file) = row?;
        let scope = Scope::from_written(&scope).ok_or_else(|| crate::Error::internal("a row with a wrong scope"))?;
        Ok((scope, FileId::parse(&file)?))
    })
    .collect()
}

/// Tombstones that were put before a time, by id from the one after `after`, and whether there may be data.
pub(crate) fn gone_before(
    conn: &Connection,
    scope: &Scope,
    before_ms: u64,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<(FileId, bool)>> {
    let mut statement = conn.prepare_cached(GONE)?;
    let values = params![scope.as_str(), after.unwrap_or(""), i64::try_from(before_ms).unwrap_or(i64::MAX), limit];
    let rows = statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (file, has_data) = row?;
        Ok((FileId::parse(&file)?, has_data))
    })
    .collect()
}

/// Removes a tombstone that was created before a time; true if it existed. `removed` says that its data was removed.
pub(crate) fn forget(conn: &Connection, scope: &Scope, file: &FileId, before_ms: u64, removed: bool) -> Result<bool> {
    let sql = "DELETE FROM finals WHERE scope = ?1 AND file = ?2 AND gone IS NOT NULL AND created_at < ?3
               AND (has_data = 0 OR ?4)";
    let before = i64::try_from(before_ms).unwrap_or(i64::MAX);
    Ok(conn.prepare_cached(sql)?.execute(params![scope.as_str(), file.as_str(), before, removed])? == 1)
}

/// Returns the ids of objects, from the one after `after`.
pub(crate) fn list(conn: &Connection, scope: &Scope, after: Option<&str>, limit: u32) -> Result<Vec<FileId>> {
    let mut statement = conn.prepare_cached(LIST)?;
    let ids =
        statement.query_map(params![scope.as_str(), after.unwrap_or(""), limit], |row| row.get::<_, String>(0))?;
    ids.map(|id| FileId::parse(&id?)).collect()
}

/// Objects of all scopes by scope and id, from the one after `after`.
pub(crate) fn next_of_all(
    conn: &Connection,
    after: &(String, String),
    limit: u32,
) -> Result<Vec<(Scope, FinalReceipt)>> {
    let mut statement = conn.prepare_cached(NEXT_OF_ALL)?;
    let mut rows = statement.query(params![after.0, after.1, limit])?;
    let mut objects = Vec::new();
    while let Some(found) = rows.next()? {
        let scope = Scope::from_written(&found.get::<_, String>(7)?);
        let scope = scope.ok_or_else(|| crate::Error::internal("a row with a wrong scope"))?;
        if let FinalRow::Live(receipt) = row(&scope, found)? {
            objects.push((scope, receipt));
        }
    }
    Ok(objects)
}

/// Removes the row of an object without a tombstone: for the index of a copy that has no such file.
pub(crate) fn remove(conn: &Connection, scope: &Scope, file: &FileId) -> Result<()> {
    let sql = "DELETE FROM finals WHERE scope = ?1 AND file = ?2 AND gone IS NULL";
    conn.prepare_cached(sql)?.execute([scope.as_str(), file.as_str()])?;
    Ok(())
}
