//! The meaning of SQLite's failures.
//!
//! SQLite has one code for a write that a quota refused and for one that a broken disk lost. The error number of the
//! operating system tells them apart. A failed *write* has lost nothing that was written before; a failed *sync* has.

#![allow(unsafe_code, reason = "sqlite3_system_errno(3), for which rusqlite has no function")]

use crate::Error;
use crate::local::files::health::Health;
use rusqlite::{Connection, ErrorCode, ffi};
use rustix::io::Errno;
use std::fmt;

/// A failure of SQLite that prints its message once.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) rusqlite::Error);

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rusqlite::Error::SqliteFailure(error, Some(message)) => {
                write!(f, "SQLite: {message} (code {})", error.extended_code)
            }
            error => write!(f, "SQLite: {error}"),
        }
    }
}

/// Whether a failure is a clean lack of room: of the disk, of a quota, or of a limit on the size of files. Must be
/// asked before the connection does anything else.
pub(crate) fn is_lack_of_room(conn: &Connection, error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    match error.extended_code {
        // SQLite's code for ENOSPC, and for its own limit.
        ffi::SQLITE_FULL => true,
        ffi::SQLITE_IOERR_WRITE => [Errno::DQUOT, Errno::FBIG].contains(&system_errno(conn)),
        _ => false,
    }
}

/// Translates the failure of work within a transaction. A failed write is recorded.
pub(crate) fn judge(conn: &Connection, health: &Health, error: Error) -> Error {
    let Error::Internal(cause) = &error else { return error };
    let Some(failure) = cause.downcast_ref::<Failure>() else { return error };
    if is_lack_of_room(conn, &failure.0) {
        return Error::NoSpace;
    }
    if is_of_writing(&failure.0) {
        health.fail("a write of the index", failure);
    }
    error
}

/// Whether a write has failed. A failed read or lock has changed nothing.
fn is_of_writing(error: &rusqlite::Error) -> bool {
    const OTHERS: [i32; 10] = [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_SHORT_READ,
        ffi::SQLITE_IOERR_FSTAT,
        ffi::SQLITE_IOERR_ACCESS,
        ffi::SQLITE_IOERR_LOCK,
        ffi::SQLITE_IOERR_RDLOCK,
        ffi::SQLITE_IOERR_UNLOCK,
        ffi::SQLITE_IOERR_SHMLOCK,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_SHMSIZE,
    ];
    error
        .sqlite_error()
        .is_some_and(|error| error.code == ErrorCode::SystemIoFailure && !OTHERS.contains(&error.extended_code))
}

/// The error number of the operating system at the connection's last failure.
fn system_errno(conn: &Connection) -> Errno {
    // SAFETY: the connection stays open while it is borrowed, and belongs to this thread; the call reads a number from
    // it.
    let number = unsafe { ffi::sqlite3_system_errno(conn.handle()) };
    Errno::from_raw_os_error(number)
}
