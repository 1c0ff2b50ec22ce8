//! Sizes that a server can drive.

/// Longest document that is read from a server, in bytes. A page of files has a few hundred bytes for each file. The parsed
/// document may take 50 times its size in memory.
pub(super) const DOCUMENT_MAX: usize = 4 << 20;

/// Longest document of a problem, in bytes. A longer document is ignored, and the status is reported alone.
pub(super) const PROBLEM_MAX: usize = 64 << 10;

/// Longest cursor of a list, in bytes.
pub(super) const CURSOR_MAX: usize = 4 << 10;

/// Most characters of a server's text in an error message.
pub(super) const SHOWN_MAX: usize = 500;
