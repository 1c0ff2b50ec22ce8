//! Where things are below the root of a local store.
//!
//! ```text
//! ROOT/format  ROOT/lock  ROOT/index.sqlite
//! ROOT/staging/TOKEN                        finals on their way
//! ROOT/temp/SCOPE/SESSION/placed            parts of a session at their offsets
//! ROOT/temp/SCOPE/SESSION/TOKEN             a part in a file of its own
//! ROOT/final/SCOPE/FILE_ID                  final objects, plain files
//! ```

use crate::{FileId, FinalKey, Scope, SessionId, Token};
use std::path::{Path, PathBuf};

/// The bucket of every final object.
pub(super) const BUCKET: &str = "local";
/// Folder of staged finals.
pub(super) const STAGING: &str = "staging";
/// Folder of parts.
pub(super) const TEMP: &str = "temp";
/// Folder of finals.
pub(super) const FINAL: &str = "final";
/// Name of a session's own file.
pub(super) const PLACED: &str = "placed";

/// A staged final.
pub(super) fn staged(token: &Token) -> PathBuf {
    Path::new(STAGING).join(token.as_str())
}

/// The folder of a session.
pub(super) fn session_dir(scope: &Scope, session: &SessionId) -> PathBuf {
    [TEMP, scope.as_str(), session.as_str()].iter().collect()
}

/// A session's own file.
pub(super) fn placed(scope: &Scope, session: &SessionId) -> PathBuf {
    session_dir(scope, session).join(PLACED)
}

/// The file of a part that has one of its own.
pub(super) fn own(scope: &Scope, session: &SessionId, token: &Token) -> PathBuf {
    session_dir(scope, session).join(token.as_str())
}

/// The folder of a scope's finals.
pub(super) fn final_dir(scope: &Scope) -> PathBuf {
    [FINAL, scope.as_str()].iter().collect()
}

/// A final.
pub(super) fn final_path(scope: &Scope, file: &FileId) -> PathBuf {
    final_dir(scope).join(file.as_str())
}

/// The key that a final has for callers: its path below the root.
pub(super) fn final_key(scope: &Scope, file: &FileId) -> FinalKey {
    FinalKey { bucket: BUCKET.to_owned(), key: format!("{FINAL}/{scope}/{file}") }
}

/// The file id behind a key, if it is one of this scope.
pub(super) fn file_of(scope: &Scope, key: &FinalKey) -> Option<FileId> {
    let name = key.key.strip_prefix(FINAL)?.strip_prefix('/')?.strip_prefix(scope.as_str())?.strip_prefix('/')?;
    (key.bucket == BUCKET).then(|| FileId::parse(name).ok()).flatten()
}
