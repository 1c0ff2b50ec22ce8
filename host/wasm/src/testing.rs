//! Doubles for the unit tests of this crate: a source that follows a script, and a backend whose one upload and one
//! stream a test can look into, hold up and break.

use async_trait::async_trait;
use bytes::Bytes;
use portico_store::{
    Backend, ByteRange, Cursor, Digest, Error, Expected, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt,
    Info, ListedPart, Page, PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId,
    SweepReport, TempKey, Token, Writer, stream::ByteStream,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use wasmtime_wasi::p2::{DynInputStream, InputStream, Pollable, StreamError, StreamResult};

/// What a source does next.
pub(crate) enum Step {
    Bytes(Bytes),
    /// Says that it is ready, and has nothing.
    Nothing,
    /// Is not ready before a permit comes.
    Wait(Arc<Semaphore>),
    Fail(&'static str),
    Trap(&'static str),
}

/// An `input-stream` that takes its steps and then is closed. Holding `alive` tells whether it was dropped.
pub(crate) struct Source {
    steps: VecDeque<Step>,
    pub(crate) largest_read: Arc<AtomicUsize>,
    pub(crate) alive: Arc<()>,
}

impl Source {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Source { steps: steps.into_iter().collect(), largest_read: Arc::default(), alive: Arc::default() }
    }

    pub(crate) fn boxed(self) -> DynInputStream {
        Box::new(self)
    }
}

#[async_trait]
impl Pollable for Source {
    async fn ready(&mut self) {
        if let Some(Step::Wait(gate)) = self.steps.front() {
            gate.acquire().await.expect("the gate is never closed").forget();
            self.steps.pop_front();
        }
    }
}

#[async_trait]
impl InputStream for Source {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.largest_read.fetch_max(size, Ordering::Relaxed);
        match self.steps.pop_front() {
            Some(Step::Bytes(bytes)) => Ok(bytes),
            Some(Step::Nothing) => Ok(Bytes::new()),
            Some(wait @ Step::Wait(_)) => {
                self.steps.push_front(wait);
                Ok(Bytes::new())
            }
            Some(Step::Fail(why)) => Err(StreamError::LastOperationFailed(wasmtime::format_err!("{why}"))),
            Some(Step::Trap(why)) => Err(StreamError::trap(why)),
            None => Err(StreamError::Closed),
        }
    }
}

/// A stream of a backend that answers these chunks and then ends, or fails.
pub(crate) struct Stored {
    pub(crate) chunks: VecDeque<Result<Bytes>>,
    pub(crate) alive: Arc<()>,
}

impl Stored {
    pub(crate) fn new(chunks: impl IntoIterator<Item = Result<Bytes>>) -> Self {
        Stored { chunks: chunks.into_iter().collect(), alive: Arc::default() }
    }
}

#[async_trait]
impl ByteStream for Stored {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        self.chunks.pop_front().transpose()
    }
}

/// The backend. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Fake {
    /// What the writers took.
    pub(crate) taken: Arc<Mutex<Vec<u8>>>,
    /// Uploads that were finished.
    pub(crate) finished: Arc<AtomicUsize>,
    /// Each write takes a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// What the next operation that asks for it answers: a write, a read, or `stat_final`.
    pub(crate) failure: Arc<Mutex<Option<Error>>>,
    /// How often it was swept.
    pub(crate) sweeps: Arc<AtomicUsize>,
    /// What the next read answers.
    pub(crate) stored: Arc<Mutex<Option<Stored>>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Fake {
            taken: Arc::default(),
            finished: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            failure: Arc::default(),
            sweeps: Arc::default(),
            stored: Arc::default(),
        }
    }

    /// One whose writes wait until the test gives permits.
    pub(crate) fn held_up() -> Self {
        Fake { gate: Arc::new(Semaphore::new(0)), ..Self::new() }
    }

    pub(crate) fn fail_next(&self, error: Error) {
        *self.failure.lock().expect("no test panics with it") = Some(error);
    }

    pub(crate) fn taken(&self) -> Vec<u8> {
        self.taken.lock().expect("no test panics with it").clone()
    }

    pub(crate) fn finished(&self) -> usize {
        self.finished.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<()> {
        self.failure.lock().expect("no test panics with it").take().map_or(Ok(()), Err)
    }

    fn read(&self) -> Result<Box<dyn ByteStream>> {
        self.check()?;
        let stored = self.stored.lock().expect("no test panics with it").take();
        Ok(Box::new(stored.ok_or(Error::NotFound)?))
    }
}

/// A writer that answers this receipt.
struct FakeWriter<R> {
    fake: Fake,
    receipt: R,
}

#[async_trait]
impl<R: Send + Sync> Writer<R> for FakeWriter<R> {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.fake.gate.acquire().await.expect("the gate is never closed").forget();
        self.fake.check()?;
        self.fake.taken.lock().expect("no test panics with it").extend_from_slice(&chunk);
        Ok(())
    }

    async fn interrupted(&self) -> Error {
        std::future::pending().await
    }

    async fn finish(self: Box<Self>, _: Expected) -> Result<R> {
        self.fake.check()?;
        self.fake.finished.fetch_add(1, Ordering::Relaxed);
        Ok(self.receipt)
    }
}

fn empty<T>() -> Result<Page<T>> {
    Ok(Page { entries: Vec::new(), next: None })
}

#[async_trait]
impl Backend for Fake {
    fn info(&self) -> Info {
        Info {
            backend: "fake",
            bucket: "fake".to_owned(),
            max_object_size: 1 << 30,
            max_join_size: 0,
            summary: "fake".to_owned(),
        }
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn begin_part(
        &self,
        _: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Box<dyn Writer<PartReceipt>>> {
        let key = TempKey { session: session.clone(), number, token: Token::random()? };
        let receipt =
            PartReceipt { key, size: 0, sha256: None, offset: options.offset, replayed: false, is_prefix: false };
        Ok(Box::new(FakeWriter { fake: self.clone(), receipt }))
    }

    async fn read_part(&self, _: &Scope, _: &TempKey, _: ByteRange) -> Result<Box<dyn ByteStream>> {
        self.read()
    }

    async fn stat_part(&self, _: &Scope, _: &TempKey) -> Result<PartReceipt> {
        Err(Error::NotFound)
    }

    async fn join_parts(&self, _: &Scope, _: &SessionId, _: u32, _: &[TempKey]) -> Result<PartReceipt> {
        Err(Error::NotFound)
    }

    async fn delete_part(&self, _: &Scope, _: &TempKey) -> Result<bool> {
        Ok(false)
    }

    async fn list_parts(&self, _: &Scope, _: &SessionId, _: Option<&Cursor>, _: u32) -> Result<Page<ListedPart>> {
        empty()
    }

    async fn list_sessions(&self, _: &Scope, _: Option<&Cursor>, _: u32) -> Result<Page<SessionId>> {
        empty()
    }

    async fn delete_session(&self, _: &Scope, _: &SessionId) -> Result<u32> {
        Ok(0)
    }

    async fn interrupt(&self, _: &Scope, _: &SessionId) -> Result<()> {
        Ok(())
    }

    async fn begin_final(
        &self,
        _: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Box<dyn Writer<FinalReceipt>>> {
        let receipt = FinalReceipt {
            file: file.clone(),
            key: FinalKey { bucket: "fake".to_owned(), key: file.to_string() },
            size: 0,
            sha256: Digest([0; 32]),
            content_type: options.content_type,
            metadata: options.metadata,
            created_at: 0,
            replayed: false,
        };
        Ok(Box::new(FakeWriter { fake: self.clone(), receipt }))
    }

    async fn assemble(&self, _: &Scope, _: &FileId, _: &[TempKey], _: FinalOptions) -> Result<FinalReceipt> {
        Err(Error::NotFound)
    }

    async fn read_final(&self, _: &Scope, _: &FinalKey, _: ByteRange) -> Result<Box<dyn ByteStream>> {
        self.read()
    }

    async fn open_final(&self, _: &Scope, _: &FileId) -> Result<Box<dyn FinalReader>> {
        Err(Error::NotFound)
    }

    async fn stat_finals(&self, _: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
        Ok(vec![None; files.len()])
    }

    async fn stat_final(&self, _: &Scope, _: &FileId) -> Result<FinalReceipt> {
        self.check()?;
        Err(Error::NotFound)
    }

    async fn delete_final(&self, _: &Scope, _: &FinalKey) -> Result<bool> {
        Ok(true)
    }

    async fn list_finals(&self, _: &Scope, _: Option<&Cursor>, _: u32) -> Result<Page<FileId>> {
        empty()
    }

    async fn void_final(&self, _: &Scope, _: &FileId, _: &Reason) -> Result<bool> {
        Ok(true)
    }

    async fn purge_gone(&self, _: &Scope, _: u64, _: Option<&Cursor>) -> Result<Purged> {
        Ok(Purged::default())
    }

    async fn create_record(&self, _: &Scope, _: &RecordName, _: &[u8]) -> Result<String> {
        Ok("version".to_owned())
    }

    async fn get_record(&self, _: &Scope, _: &RecordName) -> Result<Record> {
        Err(Error::NotFound)
    }

    async fn replace_record(&self, _: &Scope, _: &RecordName, _: &str, _: &[u8]) -> Result<String> {
        Err(Error::NotFound)
    }

    async fn delete_record(&self, _: &Scope, _: &RecordName, _: Option<&str>) -> Result<bool> {
        Ok(false)
    }

    async fn list_records(&self, _: &Scope, _: &str, _: Option<&Cursor>, _: u32) -> Result<Page<RecordName>> {
        empty()
    }

    async fn sweep(&self) -> Result<SweepReport> {
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        Ok(SweepReport::default())
    }
}
