//! The backend that applies the rules. Nothing imports this file.

use super::content::{Admission, GuardedReader, GuardedWriter, Place, WatchedStream};
use super::event::{Operation, Watch};
use super::{Guarded, Inner, run_to_end};
use crate::stream::ByteStream;
use crate::{
    Backend, ByteRange, Cursor, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt, IfExists, Info, ListedPart,
    Page, PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId, SweepReport, TempKey,
    Writer,
};
use async_trait::async_trait;
use std::sync::Arc;
use tracing::Instrument as _;

impl Inner {
    pub(super) fn watch(&self, operation: Operation, scope: &Scope, name: String) -> Watch {
        Watch::new(self.rules.observer.clone(), operation, scope, name)
    }

    /// Returns the span for an operation, if the rules have spans.
    pub(super) fn span(&self, watch: &Watch) -> tracing::Span {
        if self.rules.spans { watch.span() } else { tracing::Span::none() }
    }

    /// Opens a stream and watches it.
    pub(super) async fn read(
        &self,
        watch: Watch,
        open: impl Future<Output = Result<Box<dyn ByteStream>>> + Send,
    ) -> Result<Box<dyn ByteStream>> {
        match open.instrument(self.span(&watch)).await {
            Ok(stream) => Ok(WatchedStream::boxed(stream, watch)),
            failed => {
                watch.end(&failed);
                failed
            }
        }
    }

    /// Runs an operation that changes nothing.
    async fn look<T>(&self, watch: Watch, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let found = work.instrument(self.span(&watch)).await;
        watch.end(&found);
        found
    }

    /// Runs an operation that changes the store to its end.
    async fn change<T: Send + 'static>(
        &self,
        mut watch: Watch,
        work: impl Future<Output = Result<T>> + Send + 'static,
        moved: fn(&T) -> u64,
    ) -> Result<T> {
        if let Err(refused) = self.check_writable() {
            let refused = Err(refused);
            watch.end(&refused);
            return refused;
        }
        let span = self.span(&watch);
        let work = async move {
            let changed = work.await;
            if let Ok(changed) = &changed {
                watch.count(moved(changed));
            }
            watch.end(&changed);
            changed
        };
        run_to_end(work).instrument(span).await
    }
}

impl Guarded {
    /// Begins a put; `begin` begins it in the backend.
    async fn put<R>(
        &self,
        watch: Watch,
        admission: Admission,
        size: Option<u64>,
        begin: impl Future<Output = Result<Box<dyn Writer<R>>>> + Send,
    ) -> Result<Box<dyn Writer<R>>>
    where
        GuardedWriter<R>: Writer<R> + 'static,
    {
        let inner = &self.0;
        let begun = async {
            inner.check_writable()?;
            let room = admission.begin(&*inner.backend, size).await?;
            Ok((room, begin.await?))
        };
        match begun.instrument(inner.span(&watch)).await {
            Ok((room, writer)) => {
                Ok(Box::new(GuardedWriter { inner: inner.clone(), writer, admission, room, watch, received: 0 }))
            }
            Err(error) => {
                let failed = Err(error);
                watch.end(&failed);
                failed
            }
        }
    }

    fn admission(&self, scope: &Scope, place: Place, if_exists: IfExists) -> Admission {
        let may_replay = if_exists == IfExists::SameContentOk;
        Admission { quota: self.0.rules.quota.clone(), scope: scope.clone(), place, may_replay }
    }

    fn watch(&self, operation: Operation, scope: &Scope, name: impl ToString) -> Watch {
        self.0.watch(operation, scope, name.to_string())
    }
}

/// Runs a change with clones of its arguments, which outlive the caller.
macro_rules! change {
    ($self:ident, $watch:expr, |$inner:ident $(, $arg:ident)*| $work:expr, $moved:expr) => {{
        let $inner: Arc<Inner> = $self.0.clone();
        $(let $arg = $arg.to_owned();)*
        $self.0.change($watch, async move { $work.await }, $moved).await
    }};
}

#[async_trait]
impl Backend for Guarded {
    fn info(&self) -> Info {
        let info = self.0.backend.info();
        let max_object_size = self.0.max_object_size();
        Info { max_object_size, max_join_size: info.max_join_size.min(max_object_size), ..info }
    }

    async fn ready(&self) -> Result<()> {
        self.0.backend.ready().await
    }

    async fn begin_part(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Box<dyn Writer<PartReceipt>>> {
        let watch = self.watch(Operation::PutPart, scope, format!("{session}/{number}"));
        let admission = self.admission(scope, Place::Part(session.clone(), number), options.if_exists);
        let size = options.expected.size;
        self.put(watch, admission, size, self.0.backend.begin_part(scope, session, number, options)).await
    }

    async fn read_part(&self, scope: &Scope, key: &TempKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let watch = self.watch(Operation::ReadPart, scope, key);
        self.0.read(watch, self.0.backend.read_part(scope, key, range)).await
    }

    async fn stat_part(&self, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
        self.0.look(self.watch(Operation::StatPart, scope, key), self.0.backend.stat_part(scope, key)).await
    }

    async fn join_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        parts: &[TempKey],
    ) -> Result<PartReceipt> {
        let watch = self.watch(Operation::JoinParts, scope, format!("{session}/{number}"));
        change!(
            self,
            watch,
            |inner, scope, session, parts| inner.join_parts(&scope, &session, number, &parts),
            |joined: &PartReceipt| joined.size
        )
    }

    async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool> {
        let watch = self.watch(Operation::DeletePart, scope, key);
        change!(self, watch, |inner, scope, key| inner.delete_part(&scope, &key), |_| 0)
    }

    async fn list_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ListedPart>> {
        let watch = self.watch(Operation::ListParts, scope, session);
        self.0.look(watch, self.0.backend.list_parts(scope, session, after, limit)).await
    }

    async fn list_sessions(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<SessionId>> {
        let watch = self.watch(Operation::ListSessions, scope, "");
        self.0.look(watch, self.0.backend.list_sessions(scope, after, limit)).await
    }

    async fn delete_session(&self, scope: &Scope, session: &SessionId) -> Result<u32> {
        let watch = self.watch(Operation::DeleteSession, scope, session);
        change!(self, watch, |inner, scope, session| inner.delete_session(&scope, &session), |_| 0)
    }

    async fn interrupt(&self, scope: &Scope, session: &SessionId) -> Result<()> {
        let watch = self.watch(Operation::Interrupt, scope, session);
        change!(self, watch, |inner, scope, session| inner.backend.interrupt(&scope, &session), |()| 0)
    }

    async fn begin_final(
        &self,
        scope: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Box<dyn Writer<FinalReceipt>>> {
        let watch = self.watch(Operation::PutFinal, scope, file);
        let admission = self.admission(scope, Place::Final(file.clone()), options.if_exists);
        let size = options.expected.size;
        self.put(watch, admission, size, self.0.backend.begin_final(scope, file, options)).await
    }

    async fn assemble(
        &self,
        scope: &Scope,
        file: &FileId,
        parts: &[TempKey],
        options: FinalOptions,
    ) -> Result<FinalReceipt> {
        let watch = self.watch(Operation::Assemble, scope, file);
        change!(
            self,
            watch,
            |inner, scope, file, parts| inner.assemble(&scope, &file, &parts, options),
            |object: &FinalReceipt| object.size
        )
    }

    async fn read_final(&self, scope: &Scope, key: &FinalKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let watch = self.watch(Operation::ReadFinal, scope, &key.key);
        self.0.read(watch, self.0.backend.read_final(scope, key, range)).await
    }

    async fn open_final(&self, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>> {
        let watch = self.watch(Operation::OpenFinal, scope, file);
        let reader = self.0.look(watch, self.0.backend.open_final(scope, file)).await?;
        Ok(Box::new(GuardedReader { inner: self.0.clone(), scope: scope.clone(), reader }))
    }

    async fn stat_final(&self, scope: &Scope, file: &FileId) -> Result<FinalReceipt> {
        self.0.look(self.watch(Operation::StatFinal, scope, file), self.0.backend.stat_final(scope, file)).await
    }

    async fn stat_finals(&self, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
        self.0.look(self.watch(Operation::StatFinals, scope, ""), self.0.backend.stat_finals(scope, files)).await
    }

    async fn delete_final(&self, scope: &Scope, key: &FinalKey) -> Result<bool> {
        let watch = self.watch(Operation::DeleteFinal, scope, &key.key);
        change!(self, watch, |inner, scope, key| inner.delete_final(&scope, &key), |_| 0)
    }

    async fn list_finals(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<FileId>> {
        let watch = self.watch(Operation::ListFinals, scope, "");
        self.0.look(watch, self.0.backend.list_finals(scope, after, limit)).await
    }

    async fn void_final(&self, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool> {
        let watch = self.watch(Operation::VoidFinal, scope, file);
        change!(self, watch, |inner, scope, file, reason| inner.backend.void_final(&scope, &file, &reason), |_| 0)
    }

    async fn purge_gone(&self, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged> {
        let (watch, after) = (self.watch(Operation::PurgeGone, scope, ""), after.cloned());
        change!(self, watch, |inner, scope| inner.backend.purge_gone(&scope, before_ms, after.as_ref()), |_| 0)
    }

    async fn create_record(&self, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
        let watch = self.watch(Operation::CreateRecord, scope, name);
        change!(self, watch, |inner, scope, name, value| inner.create_record(&scope, &name, &value), |_| 0)
    }

    async fn get_record(&self, scope: &Scope, name: &RecordName) -> Result<Record> {
        self.0.look(self.watch(Operation::GetRecord, scope, name), self.0.backend.get_record(scope, name)).await
    }

    async fn replace_record(&self, scope: &Scope, name: &RecordName, version: &str, value: &[u8]) -> Result<String> {
        let watch = self.watch(Operation::ReplaceRecord, scope, name);
        change!(
            self,
            watch,
            |inner, scope, name, version, value| inner.replace_record(&scope, &name, &version, &value),
            |_| 0
        )
    }

    async fn delete_record(&self, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool> {
        let (watch, version) = (self.watch(Operation::DeleteRecord, scope, name), version.map(str::to_owned));
        change!(self, watch, |inner, scope, name| inner.delete_record(&scope, &name, version.as_deref()), |_| 0)
    }

    async fn list_records(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordName>> {
        let watch = self.watch(Operation::ListRecords, scope, prefix);
        self.0.look(watch, self.0.backend.list_records(scope, prefix, after, limit)).await
    }

    async fn sweep(&self) -> Result<SweepReport> {
        self.0.backend.sweep().await
    }
}
