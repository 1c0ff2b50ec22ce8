//! Sizes that a server can drive.

/// Longest document that is read from a server, in bytes. A page of files has a few hundred bytes for each file. The parsed
/// document may take 50 times its size in memory.
pub(crate) const DOCUMENT_MAX: usize = 4 << 20;

/// Longest document of a problem, in bytes. A longer document is ignored, and the status is reported alone.
pub(crate) const PROBLEM_MAX: usize = 64 << 10;

/// Longest cursor of a list, in bytes.
pub(crate) const CURSOR_MAX: usize = 4 << 10;

/// Most characters of a server's text in an error message.
pub(crate) const SHOWN_MAX: usize = 500;

/// Bytes of a file that are read, or received, at a time. A transfer holds a few of them in memory.
pub(crate) const CHUNK: usize = 256 << 10;
