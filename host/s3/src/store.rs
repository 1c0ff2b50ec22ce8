//! A store in a bucket.
//!
//! What [`Backend`] asks for, by the module that does it. Invariant: nothing here holds a whole object; what is in memory is
//! in the budget, or small.

use crate::background::Background;
use crate::board::Board;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::catch_up::CatchUp;
use crate::client::Client;
use crate::keys::Keys;
use crate::open::open;
use crate::probe::Capabilities;
use crate::running::Registry;
use crate::slot::Slots;
use crate::{OpenError, S3Options, assemble, list, purge, put_final, put_part, read, records, sweep};
use async_trait::async_trait;
use portico_store::catching::Catchers;
use portico_store::lane::Puts;
use portico_store::stream::ByteStream;
use portico_store::{
    Backend, ByteRange, Cursor, Error, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt, Info, ListedPart,
    Page, PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId, SweepReport, TempKey,
    Writer,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the parts of a store share.
pub(crate) struct Inner {
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Keys,
    pub(crate) slots: Arc<Slots>,
    pub(crate) options: S3Options,
    pub(crate) capabilities: Capabilities,
    pub(crate) budget: Arc<Budget>,
    pub(crate) puts: Arc<Puts>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) background: Background,
    pub(crate) board: Arc<Board>,
    pub(crate) catchers: Catchers<CatchUp>,
    pub(crate) cache: Cache,
    pub(crate) counters: Counters,
}

/// What was moved through this host for assemblies, in bytes since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Read back for a digest.
    pub(crate) read_back: AtomicU64,
    /// Read back for one in the background.
    pub(crate) caught_up: AtomicU64,
    /// Read and sent again, because it could not be copied.
    pub(crate) streamed: AtomicU64,
}

/// What [`S3Store::traffic`] answers, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Content of parts that assemblies read back for a digest.
    pub read_back: u64,
    /// Content of parts that was read back for one before, in the background, while others still arrived.
    pub caught_up: u64,
    /// Content of parts that assemblies read and sent again, because the server could not copy it.
    pub streamed: u64,
}

/// A store in a bucket of an S3-compatible server.
///
/// Dropping it ends nothing that has begun: what must not stop half-way goes on in the background; see
/// [`S3Store::settle`].
pub struct S3Store {
    pub(crate) inner: Arc<Inner>,
}

impl S3Store {
    /// Opens the store, and makes it if there is nothing under its prefix. Looks first what the server is able to.
    ///
    /// # Errors
    /// If the options can't work, the server can't be used, the prefix holds something else, or the server lacks what the
    /// guarantees of the store rest on.
    pub async fn open(options: S3Options) -> Result<Self, OpenError> {
        open(options, None).await
    }

    /// As [`S3Store::open`], for tests: `step` is asked before and after each thing that is changed, and once it has
    /// answered true, nothing is changed any more.
    ///
    /// # Errors
    /// As [`S3Store::open`].
    #[doc(hidden)]
    pub async fn open_with_fault(
        options: S3Options,
        step: impl Fn(&'static str) -> bool + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        open(options, Some(Box::new(step))).await
    }

    /// What the server was found to be able to when the store was opened.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// What was moved through this host for assemblies since the store was opened.
    pub fn traffic(&self) -> Traffic {
        let Counters { read_back, caught_up, streamed } = &self.inner.counters;
        let bytes = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { read_back: bytes(read_back), caught_up: bytes(caught_up), streamed: bytes(streamed) }
    }

    /// Waits until nothing goes on in the background: commits whose callers have gone, and the removal of what failed. What
    /// is hashed there is left to the assembly. From then on no request of this store is on its way.
    pub async fn settle(&self) {
        self.inner.background.settle().await;
        self.inner.catchers.halt().await;
        // A catcher that was halted may have been writing.
        self.inner.background.settle().await;
    }

    /// Waits until nothing more can be hashed in the background, for benchmarks and tests.
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
            summary: format!(
                "{}, parts in {}, at {}, {} payloads{}",
                keys.main,
                keys.temp,
                client.endpoint,
                if client.signs { "signed" } else { "unsigned" },
                if self.inner.slots.alone.is_some() { ", for this process alone" } else { "" },
            ),
        }
    }

    async fn ready(&self) -> Result<()> {
        // It only reads: in a bucket with versions each look that writes would leave one behind.
        let keys = &self.inner.keys;
        for format in std::iter::once(keys.format()).chain(keys.temp_format()) {
            if self.inner.client.get_small(&format, 1 << 10).await?.is_none() {
                return Err(Error::unavailable(format!("the marker of the store, {format}, is not there")));
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
        put_part::begin(&self.inner, scope, session, number, options).await
    }

    async fn read_part(&self, scope: &Scope, key: &TempKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        self.inner.registry.consumed(scope, &key.session).await;
        read::part(&self.inner, scope, key, range).await
    }

    async fn stat_part(&self, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
        self.inner.registry.consumed(scope, &key.session).await;
        read::stat_part(&self.inner, scope, key).await
    }

    async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool> {
        self.inner.registry.consumed(scope, &key.session).await;
        put_part::delete(&self.inner, scope, key).await
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
        put_part::delete_session(&self.inner, scope, session).await
    }

    async fn interrupt(&self, scope: &Scope, session: &SessionId) -> Result<()> {
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
        put_final::delete(&self.inner, scope, key).await
    }

    async fn list_finals(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<FileId>> {
        list::finals(&self.inner, scope, after, limit).await
    }

    async fn void_final(&self, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool> {
        put_final::void(&self.inner, scope, file, reason).await
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
