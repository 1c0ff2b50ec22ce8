//! The backend of the contract over a bucket.
//!
//! Invariants: no other file imports this one; nothing holds a whole object, and content in memory counts against the
//! budget or is small.

use crate::limits;
use crate::open::error::OpenError;
use crate::open::opening::open;
use crate::open::options::S3Options;
use crate::open::probe::Capabilities;
use crate::operations::{assemble, delete, join, list, purge, put_final, put_part, read, records, sweep, verify};
use crate::shared::{Counters, Inner};
use async_trait::async_trait;
use portico_store::stream::ByteStream;
use portico_store::verify::{Depth, Findings, Verified};
use portico_store::{
    Backend, ByteRange, Cursor, Error, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt, Info, ListedPart,
    Page, PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId, SweepReport, TempKey,
    Writer,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that assemblies moved through this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Content of parts that assemblies read back for a digest.
    pub read_back: u64,
    /// Content of parts that was read back for a digest before, in the background.
    pub caught_up: u64,
    /// Content of parts that assemblies read and sent again, because the server could not copy it.
    pub streamed: u64,
}

/// A store in a bucket of an S3-compatible server.
///
/// Dropping a store does not stop its background tasks; see [`S3Store::settle`].
pub struct S3Store {
    inner: Arc<Inner>,
}

impl S3Store {
    /// Opens a store, and creates it if its prefix is empty. Probes the server first.
    ///
    /// # Errors
    /// If a setting is invalid, the server cannot be used, the prefix holds something else, or the server lacks what
    /// the guarantees of a store rest on.
    pub async fn open(options: S3Options) -> Result<Self, OpenError> {
        Ok(S3Store { inner: open(options, None).await? })
    }

    /// Opens a store for tests. `step` is called before and after each change; once it has returned true, nothing is
    /// changed any more.
    ///
    /// # Errors
    /// As [`S3Store::open`].
    #[doc(hidden)]
    pub async fn open_with_fault(
        options: S3Options,
        step: impl Fn(&'static str) -> bool + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Ok(S3Store { inner: open(options, Some(Box::new(step))).await? })
    }

    /// Compares each receipt of a store with its data, and reports differences. Other processes may use the store
    /// meanwhile.
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be read.
    pub async fn verify(options: &S3Options, depth: Depth, findings: Findings<'_>) -> Result<Verified, OpenError> {
        verify::verify(options, depth, findings).await
    }

    /// Returns the capabilities of the server, as found when the store was opened.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// Returns the bytes that assemblies moved through this host since the store was opened.
    pub fn traffic(&self) -> Traffic {
        let Counters { read_back, caught_up, streamed } = &self.inner.counters;
        let bytes = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { read_back: bytes(read_back), caught_up: bytes(caught_up), streamed: bytes(streamed) }
    }

    /// Waits for all background tasks: commits whose callers are gone, and the removal of failed attempts.
    ///
    /// Stops background hashing; assemblies do the rest. After this no request of the store is in flight, unless a new
    /// operation starts.
    pub async fn settle(&self) {
        let Inner { background, catchers, .. } = &*self.inner;
        // A closed tracker still takes tasks; `wait` ends only if it is closed.
        background.close();
        background.wait().await;
        catchers.halt().await;
        // A halted hasher may have been writing.
        background.wait().await;
    }

    /// Waits until there is nothing to hash in the background, for benchmarks and tests.
    #[doc(hidden)]
    pub async fn caught_up(&self) {
        self.inner.catchers.idle().await;
    }
}

impl Drop for S3Store {
    fn drop(&mut self) {
        self.inner.catchers.close();
    }
}

#[async_trait]
impl Backend for S3Store {
    fn info(&self) -> Info {
        let Inner { options, client, keys, .. } = &*self.inner;
        Info {
            backend: "s3",
            bucket: keys.main.bucket.clone(),
            max_object_size: options.max_object_size,
            max_join_size: limits::MAX_JOIN_SIZE,
            summary: format!(
                "{}, parts in {}, at {}, {} payloads{}",
                keys.main,
                keys.temp,
                client.endpoint,
                if client.signs { "signed" } else { "unsigned" },
                if self.inner.slots.sole_owner.is_some() { ", owned by this process" } else { "" },
            ),
        }
    }

    async fn ready(&self) -> Result<()> {
        // Only reads: in a bucket with versions each write would leave a version behind.
        let keys = &self.inner.keys;
        for format in std::iter::once(keys.format()).chain(keys.temp_format()) {
            if self.inner.client.get_small(&format, 1 << 10).await?.is_none() {
                return Err(Error::unavailable(format!("the marker of the store, {format}, is missing")));
            }
        }
        Ok(())
    }

    async fn begin_part(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Box<dyn Writer<PartReceipt>>> {
        self.inner.registry.consumed(scope, session).await;
        put_part::begin(&self.inner, scope, session, number, options, None).await
    }

    async fn read_part(&self, scope: &Scope, key: &TempKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        self.inner.registry.consumed(scope, &key.session).await;
        read::part(&self.inner, scope, key, range).await
    }

    async fn stat_part(&self, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
        self.inner.registry.consumed(scope, &key.session).await;
        read::stat_part(&self.inner, scope, key).await
    }

    async fn join_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        parts: &[TempKey],
    ) -> Result<PartReceipt> {
        self.inner.registry.consumed(scope, session).await;
        join::join(self, &self.inner, scope, session, number, parts).await
    }

    async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool> {
        self.inner.registry.consumed(scope, &key.session).await;
        delete::part(&self.inner, scope, key).await
    }

    async fn list_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ListedPart>> {
        self.inner.registry.consumed(scope, session).await;
        list::parts(&self.inner, scope, session, after, limit).await
    }

    async fn list_sessions(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<SessionId>> {
        self.inner.registry.all_consumed(scope).await;
        list::sessions(&self.inner, scope, after, limit).await
    }

    async fn delete_session(&self, scope: &Scope, session: &SessionId) -> Result<u32> {
        self.inner.registry.consumed(scope, session).await;
        delete::session(&self.inner, scope, session).await
    }

    async fn interrupt(&self, scope: &Scope, session: &SessionId) -> Result<()> {
        self.inner.registry.end_contents(scope, session).await;
        self.inner.registry.interrupt(scope, session).await;
        Ok(())
    }

    async fn begin_final(
        &self,
        scope: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Box<dyn Writer<FinalReceipt>>> {
        put_final::begin(&self.inner, scope, file, options).await
    }

    async fn assemble(
        &self,
        scope: &Scope,
        file: &FileId,
        parts: &[TempKey],
        options: FinalOptions,
    ) -> Result<FinalReceipt> {
        assemble::assemble(&self.inner, scope, file, parts, options).await
    }

    async fn read_final(&self, scope: &Scope, key: &FinalKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        read::final_object(&self.inner, scope, key, range).await
    }

    async fn open_final(&self, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>> {
        read::open_final(&self.inner, scope, file).await
    }

    async fn stat_final(&self, scope: &Scope, file: &FileId) -> Result<FinalReceipt> {
        put_final::stat(&self.inner, scope, file).await
    }

    async fn stat_finals(&self, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
        list::receipts(&self.inner, scope, files).await
    }

    async fn delete_final(&self, scope: &Scope, key: &FinalKey) -> Result<bool> {
        delete::final_object(&self.inner, scope, key).await
    }

    async fn list_finals(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<FileId>> {
        list::finals(&self.inner, scope, after, limit).await
    }

    async fn void_final(&self, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool> {
        delete::void(&self.inner, scope, file, reason).await
    }

    async fn purge_gone(&self, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged> {
        purge::gone(&self.inner, scope, before_ms, after).await
    }

    async fn create_record(&self, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
        records::create(&self.inner, scope, name, value).await
    }

    async fn get_record(&self, scope: &Scope, name: &RecordName) -> Result<Record> {
        records::get(&self.inner, scope, name).await
    }

    async fn replace_record(&self, scope: &Scope, name: &RecordName, version: &str, value: &[u8]) -> Result<String> {
        records::replace(&self.inner, scope, name, version, value).await
    }

    async fn delete_record(&self, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool> {
        records::delete(&self.inner, scope, name, version).await
    }

    async fn list_records(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordName>> {
        list::records(&self.inner, scope, prefix, after, limit).await
    }

    async fn sweep(&self) -> Result<SweepReport> {
        sweep::sweep(&self.inner).await
    }
}
