//! The storage backends of Portico.
//!
//! [`Backend`] is what a backend implements: temporary parts of upload sessions, final objects, records. It is
//! the host's side of the WIT package `portico:storage`, whose text is the contract; this crate names no
//! WebAssembly type, and its tree holds no WebAssembly crate. [`local::LocalStore`] keeps everything on the local
//! filesystem.
//!
//! ```
//! use portico_store::{Backend, FileId, FinalOptions, Scope, local::LocalStore, put_final, stream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let store = LocalStore::open(dir.path(), Default::default()).await?;
//! let mut content = stream::from_bytes("hello");
//! let id = FileId::parse("greeting")?;
//! let receipt = put_final(&store, &Scope::root(), &id, &mut content, FinalOptions::default()).await?;
//! assert_eq!(receipt.size, 5);
//! # Ok(()) }) }
//! ```

mod backend;
pub mod catching;
mod digest;
mod error;
pub mod guard;
mod join;
mod key;
pub mod lane;
pub mod limits;
pub mod local;
mod others;
pub mod stream;
mod upload;
pub mod verify;
pub mod watched;

pub use backend::{
    Backend, Expected, FinalOptions, FinalReader, FinalReceipt, IfExists, Info, ListedPart, Page, PartOptions,
    PartReceipt, Purged, Record, SweepReport, Writer, all_pages, list_final_receipts,
};
pub use digest::{Blake3, Chain, Digest, Sha256, Sha256State};
pub use error::{Argument, Error, Result, chain};
pub use join::{copy_parts, delete_joined, join_parts};
pub use key::{ByteRange, Cursor, FileId, FinalKey, Reason, RecordName, Scope, SessionId, TempKey, Token};
pub use others::{Algorithm, OtherDigests};
pub use upload::{Upload, assemble_final, put_final, put_part};
