//! The tables, and the identity of their store.

use rusqlite::{Connection, OptionalExtension};

/// The application id in the file: `PORT`.
const APPLICATION_ID: i32 = 0x504f_5254;
/// Version of the tables.
pub(crate) const VERSION: i32 = 3;

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- A part that exists. `ends` is the offset where it ends, if it has an offset and is not empty; `placed`, that its bytes
-- are in the session's own file.
CREATE TABLE parts (
    scope TEXT NOT NULL, session TEXT NOT NULL, number INTEGER NOT NULL, token TEXT NOT NULL,
    size INTEGER NOT NULL, starts INTEGER, ends INTEGER, placed INTEGER NOT NULL,
    sha256 BLOB, chain_before BLOB, chain_state BLOB,
    PRIMARY KEY (scope, session, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_by_start ON parts (scope, session, starts) WHERE placed = 1;
CREATE INDEX parts_chained ON parts (scope, session, ends) WHERE ends IS NOT NULL AND chain_state IS NOT NULL;
CREATE INDEX parts_behind ON parts (scope, session, starts) WHERE ends IS NOT NULL AND chain_state IS NULL;

-- Ranges of a session's own file whose part was deleted.
CREATE TABLE withdrawn (
    scope TEXT NOT NULL, session TEXT NOT NULL, starts INTEGER NOT NULL, ends INTEGER NOT NULL,
    PRIMARY KEY (scope, session, starts)
) STRICT, WITHOUT ROWID;

-- A final object, or with `gone` a tombstone. `has_data` tells whether its file may be there.
CREATE TABLE finals (
    scope TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB, content_type TEXT,
    metadata TEXT NOT NULL, created_at INTEGER NOT NULL, gone TEXT, has_data INTEGER NOT NULL,
    PRIMARY KEY (scope, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX finals_live ON finals (scope, file) WHERE gone IS NULL;
CREATE INDEX finals_gone ON finals (scope, file, created_at) WHERE gone IS NOT NULL;
CREATE INDEX finals_deleted ON finals (scope, file) WHERE gone IS NOT NULL AND has_data = 1;

CREATE TABLE records (
    scope TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT;
";

/// Why an index can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFault {
    #[error("it is not there")]
    Missing,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it is not the index of a store")]
    NotAnIndex,
    #[error("it belongs to another store")]
    Foreign,
    #[error("its tables have version {0}, and this program knows version {VERSION}")]
    Older(i32),
    #[error("its tables have version {0}, and this program knows version {VERSION}")]
    Newer(i32),
    /// The index itself is whole.
    #[error("{0}")]
    Fault(crate::Error),
    /// The index itself is whole.
    #[error(transparent)]
    Io(std::io::Error),
}

impl From<rusqlite::Error> for IndexFault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => IndexFault::Damaged(error.to_string()),
            _ => IndexFault::Fault(error.into()),
        }
    }
}

/// Gives an index a write-ahead log. SQLite reports no error if a write for that fails: it stays with a rollback
/// journal, and says so. After a loss of power the store refuses an index with a journal, so such an index must not
/// come into use.
pub(crate) fn use_log(conn: &Connection) -> crate::Result<()> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(crate::Error::internal(format!("the index can't be given a write-ahead log: SQLite keeps to `{mode}`")))
}

/// Creates the tables of a new store.
pub(crate) fn create(conn: &Connection, store_id: &str) -> Result<(), IndexFault> {
    conn.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION};"
    ))?;
    conn.execute("INSERT INTO meta VALUES ('store', ?1)", [store_id])?;
    conn.execute_batch("COMMIT")?;
    Ok(())
}

/// Checks that the tables are those of a store and whole, and returns the store's id.
pub(crate) fn check(conn: &Connection) -> Result<String, IndexFault> {
    let number = |pragma: &str| conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(IndexFault::NotAnIndex);
    }
    match number("user_version")? {
        VERSION => {}
        older if older < VERSION => return Err(IndexFault::Older(older)),
        newer => return Err(IndexFault::Newer(newer)),
    }
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(IndexFault::Damaged(found));
    }
    let id = conn.query_row("SELECT value FROM meta WHERE name = 'store'", [], |row| row.get::<_, String>(0));
    match id.optional() {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(IndexFault::Damaged("it has no store id".to_owned())),
        // The tables are not those of their version.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
            Err(IndexFault::Damaged(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
