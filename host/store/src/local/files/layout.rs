//! Where things are below the root of a local store.
//!
//! ```text
//! ROOT/format                               what this is, and the id of the store
//! ROOT/lock                                 who has the folder; the lock itself is on the folder
//! ROOT/reserve                              room that is kept for deletes
//! ROOT/index.sqlite                         what exists
//! ROOT/staging/TOKEN                        finals on their way
//! ROOT/temp/SCOPE/SESSION/placed            parts of a session at their offsets
//! ROOT/temp/SCOPE/SESSION/TOKEN             a part in a file of its own
//! ROOT/final/SCOPE/FILE_ID                  final objects, plain files
//! ```

use crate::{FileId, FinalKey, Scope, SessionId, Token};
use std::path::{Path, PathBuf};

/// First line of `format`; the second is the store's id.
pub(crate) const FORMAT_LINE: &str = "portico local store 1";
/// The file that describes the store.
pub(crate) const FORMAT: &str = "format";
/// The index.
pub(crate) const INDEX: &str = "index.sqlite";
/// A new `format` before its rename.
pub(crate) const NEW_FORMAT: &str = "format.new";
/// The index's log.
pub(crate) const LOG: &str = "index.sqlite-wal";
/// A new log before its rename.
pub(crate) const NEW_LOG: &str = "log.new";
/// A new index before its rename.
pub(crate) const NEW_INDEX: &str = "index.new";
/// The files of an index, by suffix: the index itself first, then those that SQLite puts beside it.
pub(crate) const INDEX_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// Marks a backup that no process has opened as a store.
pub(crate) const BACKUP: &str = "backup";
/// The file that names the holder of the lock.
pub(crate) const HOLDER: &str = "lock";
/// The file that keeps room for deletes.
pub(crate) const RESERVE: &str = "reserve";
/// The folders of a store.
pub(crate) const FOLDERS: [&str; 3] = [STAGING, TEMP, FINAL];
/// The bucket of every final object.
pub(crate) const BUCKET: &str = "local";
/// Folder of staged finals.
pub(crate) const STAGING: &str = "staging";
/// Folder of parts.
pub(crate) const TEMP: &str = "temp";
/// Folder of finals.
pub(crate) const FINAL: &str = "final";
/// Name of a session's own file.
pub(crate) const PLACED: &str = "placed";

/// The path of a staged final.
pub(crate) fn staged(token: &Token) -> PathBuf {
    Path::new(STAGING).join(token.as_str())
}

/// The folder of a session.
pub(crate) fn session_dir(scope: &Scope, session: &SessionId) -> PathBuf {
    [TEMP, scope.as_str(), session.as_str()].iter().collect()
}

/// A session's own file.
pub(crate) fn placed(scope: &Scope, session: &SessionId) -> PathBuf {
    session_dir(scope, session).join(PLACED)
}

/// The file of a part that has one of its own.
pub(crate) fn own(scope: &Scope, session: &SessionId, token: &Token) -> PathBuf {
    session_dir(scope, session).join(token.as_str())
}

/// The folder of a scope's finals.
pub(crate) fn final_dir(scope: &Scope) -> PathBuf {
    [FINAL, scope.as_str()].iter().collect()
}

/// The path of a final.
pub(crate) fn final_path(scope: &Scope, file: &FileId) -> PathBuf {
    final_dir(scope).join(file.as_str())
}

/// The public key of a final: its path below the root.
pub(crate) fn final_key(scope: &Scope, file: &FileId) -> FinalKey {
    FinalKey { bucket: BUCKET.to_owned(), key: format!("{FINAL}/{scope}/{file}") }
}

/// The file id of a key, if the key belongs to this scope.
pub(crate) fn file_of(scope: &Scope, key: &FinalKey) -> Option<FileId> {
    let name = key.key.strip_prefix(FINAL)?.strip_prefix('/')?.strip_prefix(scope.as_str())?.strip_prefix('/')?;
    (key.bucket == BUCKET).then(|| FileId::parse(name).ok()).flatten()
}
