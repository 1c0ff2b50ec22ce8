//! The local filesystem backend: plain files, and an SQLite index of the rows that make them exist.
//!
//! One process has the folder at a time, so claims, seals and locks on names are plain state of this process. The index
//! alone decides what exists: data comes first, under a name of its own, and a row makes it exist. [`crate::Backend`]
//! says what each operation promises; ARCHITECTURE.md says why this order keeps the promises.

mod backend;
mod digest;
mod files;
mod index;
mod names;
mod open;
mod operations;
mod sessions;
mod shared;

pub use open::error::OpenError;
pub use open::facts::{FsFacts, FsKind};
pub use open::rebuild::{FormatMade, RebuildReport};
pub use operations::backup::BackupReport;
pub use shared::{Counters, Durability, LocalOptions, LocalStore};
