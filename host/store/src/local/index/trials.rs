//! The row that a trial of the index writes.

use crate::Result;
use rusqlite::Connection;

/// Counts a trial, which changes the index in fact: a transaction without a change writes nothing.
pub(crate) fn count(conn: &Connection) -> Result<()> {
    let sql = "INSERT INTO meta VALUES ('trials', '1')
               ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}
