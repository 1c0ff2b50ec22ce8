//! The trait that a backend implements.
//!
//! Invariant: nothing in this file or beneath it names a wasmtime or WIT type, and nothing above knows which backend
//! runs. Each method means what the method of the same purpose in `portico:storage` means.

use crate::others::{Algorithm, OtherDigests, both};
use crate::stream::ByteStream;
use crate::{Argument, Error};
use crate::{
    ByteRange, Cursor, Digest, FileId, FinalKey, Reason, RecordName, Result, Scope, SessionId, TempKey, limits,
};
use async_trait::async_trait;
use bytes::Bytes;

/// A storage backend. All methods may be called from any number of tasks at once.
///
/// Dropping a future of `begin_*` or of a read leaves nothing behind. Dropping a future that commits (`finish`,
/// `assemble`, `delete_*`, `void_final`, records) leaves either the whole effect or none.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Describes this backend.
    fn info(&self) -> Info;

    /// Checks whether puts would succeed now, by a small trial of what a put does. Each backend says how far its trial
    /// goes.
    async fn ready(&self) -> Result<()>;

    /// Begins a part. Its content goes through the writer; [`crate::put_part`] does all of it for a stream.
    async fn begin_part(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Box<dyn Writer<PartReceipt>>>;

    /// Opens a part for reading.
    async fn read_part(&self, scope: &Scope, key: &TempKey, range: ByteRange) -> Result<Box<dyn ByteStream>>;

    /// Returns the receipt of a part.
    async fn stat_part(&self, scope: &Scope, key: &TempKey) -> Result<PartReceipt>;

    /// Makes one part of several, in the order given, under `number`, and deletes them. `parts` are of `session`,
    /// distinct, and 2 to [`limits::JOIN_PARTS_MAX`]. Dropping the future leaves the parts, the new one, or both.
    async fn join_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        parts: &[TempKey],
    ) -> Result<PartReceipt>;

    /// Deletes a part; true if the part existed.
    async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool>;

    /// Returns a page of the parts of a session by ascending number, at most `limit`. `limit` is 1 to
    /// [`limits::PAGE_MAX`].
    async fn list_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ListedPart>>;

    /// Returns a page of the sessions that have parts, by ascending id.
    async fn list_sessions(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<SessionId>>;

    /// Interrupts the running puts of a session and deletes its parts; returns their number.
    async fn delete_session(&self, scope: &Scope, session: &SessionId) -> Result<u32>;

    /// Ends the running puts of a session in this process, and returns when none of them can write or commit any more.
    /// A put with [`PartOptions::keep_prefix`] commits first. An idle writer does not delay the call.
    async fn interrupt(&self, scope: &Scope, session: &SessionId) -> Result<()>;

    /// Begins a final object.
    async fn begin_final(
        &self,
        scope: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Box<dyn Writer<FinalReceipt>>>;

    /// Makes a final object of parts, in order, and consumes them. `parts` are distinct and at most
    /// [`limits::ASSEMBLY_PARTS_MAX`].
    async fn assemble(
        &self,
        scope: &Scope,
        file: &FileId,
        parts: &[TempKey],
        options: FinalOptions,
    ) -> Result<FinalReceipt>;

    /// Opens a final object for reading.
    async fn read_final(&self, scope: &Scope, key: &FinalKey, range: ByteRange) -> Result<Box<dyn ByteStream>>;

    /// Opens a final object for its receipt and any number of streams.
    async fn open_final(&self, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>>;

    /// Returns the receipt of a final object.
    async fn stat_final(&self, scope: &Scope, file: &FileId) -> Result<FinalReceipt>;

    /// Returns the receipts of at most [`limits::PAGE_MAX`] final objects, in order; `None` where no object exists.
    async fn stat_finals(&self, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>>;

    /// Replaces a final object's receipt by a tombstone with the reason `deleted`, then removes its data; true if
    /// this call did it.
    async fn delete_final(&self, scope: &Scope, key: &FinalKey) -> Result<bool>;

    /// Returns a page of the ids of final objects, ascending.
    async fn list_finals(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<FileId>>;

    /// Creates a tombstone where neither a receipt nor a tombstone exists; true if this call did it.
    async fn void_final(&self, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool>;

    /// Removes a page of the tombstones that were created before a time, in milliseconds since the Unix epoch.
    async fn purge_gone(&self, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged>;

    /// Creates a record of at most [`limits::RECORD_VALUE_MAX`] bytes; returns its version.
    async fn create_record(&self, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String>;

    /// Returns the current version of a record.
    async fn get_record(&self, scope: &Scope, name: &RecordName) -> Result<Record>;

    /// Replaces the given version of a record; returns the new version.
    async fn replace_record(&self, scope: &Scope, name: &RecordName, version: &str, value: &[u8]) -> Result<String>;

    /// Deletes a record, or only its given version; true if the record existed.
    async fn delete_record(&self, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool>;

    /// Returns a page of the records whose names begin with `prefix`, by ascending name.
    async fn list_records(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordName>>;

    /// Removes what killed or failed operations left behind, and nothing that a running operation needs.
    async fn sweep(&self) -> Result<SweepReport>;
}

/// Content on its way into a backend. Dropping it without [`Writer::finish`] discards it.
#[async_trait]
pub trait Writer<R>: Send {
    /// Appends a chunk. It may return before the bytes are written, and waits while too many bytes are in flight.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after [`Backend::interrupt`], and faults of the backend. The writer has failed then, and
    /// can only be dropped.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Resolves with the cause when the backend ends this writer while the writer waits for its source:
    /// [`Error::Interrupted`] after [`Backend::interrupt`], [`Error::Unavailable`] where other uploads need its memory.
    async fn interrupted(&self) -> Error;

    /// Checks the digest that this call or the options expect, and makes the content visible. The caller,
    /// [`crate::Upload`], has checked the sizes.
    async fn finish(self: Box<Self>, expected: Expected) -> Result<R>;
}

/// A final object, opened for reading.
///
/// It serves the content of this one object, never that of a later one under the same id.
#[async_trait]
pub trait FinalReader: Send + Sync {
    /// The receipt of the object as it was opened.
    fn receipt(&self) -> &FinalReceipt;

    /// Opens a stream of the object, which continues to its end even if the object is deleted or the reader is dropped.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::OutOfRange`] for the range. [`Error::Gone`] or [`Error::NotFound`] if the
    /// object was deleted since it was opened, on backends that do not keep its data for open readers.
    async fn stream(&self, range: ByteRange) -> Result<Box<dyn ByteStream>>;
}

/// Returns a page of the receipts of final objects by ascending id. A page may have fewer entries than `limit`, because
/// objects that are deleted between the listing and the look at their receipts are left out.
///
/// # Errors
/// Those of [`Backend::list_finals`] and [`Backend::stat_finals`].
pub async fn list_final_receipts(
    backend: &dyn Backend,
    scope: &Scope,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<FinalReceipt>> {
    let Page { entries, next } = backend.list_finals(scope, after, limit).await?;
    let receipts = backend.stat_finals(scope, &entries).await?;
    Ok(Page { entries: receipts.into_iter().flatten().collect(), next })
}

/// Collects all entries of a listing, page by page. `page` returns the page after a cursor. The result grows with the
/// listing, so this is for listings whose size the caller knows.
///
/// # Errors
/// The first error of `page`.
pub async fn all_pages<T>(page: impl AsyncFn(Option<Cursor>) -> Result<Page<T>>) -> Result<Vec<T>> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let Page { entries: more, next } = page(after).await?;
        entries.extend(more);
        after = next;
        if after.is_none() {
            return Ok(entries);
        }
    }
}

/// A description of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its kind: `local` or `s3`.
    pub backend: &'static str,
    /// The bucket of its final objects.
    pub bucket: String,
    /// Largest content of one put, in bytes.
    pub max_object_size: u64,
    /// Most bytes that [`Backend::join_parts`] makes one part of.
    pub max_join_size: u64,
    /// One line for a person: kind, location, and the settings that matter.
    pub summary: String,
}

/// What the caller knows of the content in advance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Size in bytes.
    pub size: Option<u64>,
    /// SHA-256 of the whole.
    pub sha256: Option<Digest>,
    /// Digests by other algorithms, which [`crate::Upload`] checks.
    pub others: OtherDigests,
}

impl Expected {
    /// Merges both sets of expectations; `None` if they contradict each other.
    pub fn and(self, other: Expected) -> Option<Expected> {
        Some(Expected {
            size: both(self.size, other.size)?,
            sha256: both(self.sha256, other.sha256)?,
            others: self.others.and(other.others)?,
        })
    }
}

/// The behaviour when the name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// Fail with [`Error::Conflict`].
    #[default]
    Fail,
    /// The same content returns the stored receipt, other content [`Error::Conflict`].
    SameContentOk,
}

/// Options of a part.
#[derive(Clone, Debug, Default)]
pub struct PartOptions {
    /// The known properties of the content.
    pub expected: Expected,
    /// The behaviour when the number is taken.
    pub if_exists: IfExists,
    /// Offset in bytes in the assembled object, if known.
    pub offset: Option<u64>,
    /// Compute the part's SHA-256 for the receipt.
    pub want_sha256: bool,
    /// Fail with [`Error::Ended`] if an object or a tombstone exists under this file id.
    pub unless_final: Option<FileId>,
    /// Most bytes of the content, which [`crate::Upload`] checks.
    pub limit: Option<u64>,
    /// Keep what arrived when the source fails or the put is interrupted. Only [`crate::put_part`] may set this, because
    /// [`Backend::interrupt`] waits until such a put has ended.
    pub keep_prefix: bool,
    /// The part that ends where this one begins, if known; `None`: the part of the preceding number.
    pub previous: Option<TempKey>,
    /// Other digests to compute, for an expectation that only `finish` brings; [`crate::Upload`] computes them.
    pub compute: Vec<Algorithm>,
}

impl PartOptions {
    /// Whether the part's own SHA-256 is computed on arrival: for its receipt, or to compare it with the expected one.
    pub fn needs_sha256(&self) -> bool {
        self.want_sha256 || self.expected.sha256.is_some()
    }
}

/// Options of a final object.
#[derive(Clone, Debug, Default)]
pub struct FinalOptions {
    /// The known properties of the content.
    pub expected: Expected,
    /// The behaviour when the id is taken.
    pub if_exists: IfExists,
    /// Media type.
    pub content_type: Option<String>,
    /// Metadata in the order given.
    pub metadata: Vec<(String, String)>,
}

impl FinalOptions {
    /// Checks the forms that the contract gives for content type and metadata.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn check(&self) -> Result<()> {
        let type_ok = self.content_type.as_ref().is_none_or(|text| {
            (1..=limits::CONTENT_TYPE_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        });
        if !type_ok {
            return Err(Error::InvalidArgument(Argument::ContentType));
        }
        let key_ok = |key: &str| {
            (1..=limits::METADATA_KEY_MAX).contains(&key.len())
                && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        };
        let bytes: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        let keys: std::collections::HashSet<&str> = self.metadata.iter().map(|(key, _)| key.as_str()).collect();
        let metadata_ok = self.metadata.len() <= limits::METADATA_PAIRS_MAX
            && bytes <= limits::METADATA_BYTES_MAX
            && keys.len() == self.metadata.len()
            && self.metadata.iter().all(|(key, value)| key_ok(key) && !value.chars().any(char::is_control));
        if metadata_ok { Ok(()) } else { Err(Error::InvalidArgument(Argument::Metadata)) }
    }
}

/// The result of one [`Backend::purge_gone`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Tombstones removed.
    pub purged: u32,
    /// Where the next step begins; `None` after the last one.
    pub next: Option<Cursor>,
}

/// A part that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReceipt {
    /// The key of this write.
    pub key: TempKey,
    /// Size in bytes.
    pub size: u64,
    /// Its SHA-256, where the put asked for one or expected one.
    pub sha256: Option<Digest>,
    /// The offset that the put gave.
    pub offset: Option<u64>,
    /// The put found the same content stored, and stored nothing.
    pub replayed: bool,
    /// The put ended before its source did, and kept what had arrived.
    pub is_prefix: bool,
}

/// A part in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// The key of the write.
    pub key: TempKey,
    /// Size in bytes.
    pub size: u64,
    /// Offset that the put was given. Also absent where the store would need another request for it.
    pub offset: Option<u64>,
}

/// A final object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalReceipt {
    /// Its id.
    pub file: FileId,
    /// Its location.
    pub key: FinalKey,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the whole.
    pub sha256: Digest,
    /// Media type.
    pub content_type: Option<String>,
    /// Metadata.
    pub metadata: Vec<(String, String)>,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// The put found the same content stored, and stored nothing.
    pub replayed: bool,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: RecordName,
    /// The token of this write.
    pub version: String,
    /// Its value.
    pub value: Vec<u8>,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Things removed that killed or failed operations had left.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The names of things that do not belong to the store, and stay.
    pub foreign: Vec<String>,
}
