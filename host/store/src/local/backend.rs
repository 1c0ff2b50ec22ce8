//! The operations of a local store. Puts, assembly and reads have modules of their own; the others only use the index.

use crate::local::files::layout;
use crate::local::index::{finals, parts, records};
use crate::local::operations::{assemble, ended, join, publish, put_final, put_part, read, ready, sweep};
use crate::local::shared::{Inner, LocalStore, blocking, detached, now_ms};
use crate::stream::ByteStream;
use crate::{
    Argument, Backend, ByteRange, Cursor, Error, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt, Info,
    ListedPart, Page, PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId,
    SweepReport, TempKey, Writer,
};
use async_trait::async_trait;
use rusqlite::Connection;

#[async_trait]
impl Backend for LocalStore {
    fn info(&self) -> Info {
        Info {
            backend: "local",
            bucket: layout::BUCKET.to_owned(),
            max_object_size: self.inner.options.max_object_size,
            max_join_size: self.inner.options.max_object_size,
            summary: format!(
                "local folder {}, durability {:?}",
                self.inner.root.path().display(),
                self.inner.options.durability
            ),
        }
    }

    async fn ready(&self) -> Result<()> {
        ready::check(&self.inner).await
    }

    async fn begin_part(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Box<dyn Writer<PartReceipt>>> {
        put_part::begin_part(&self.inner, scope, session, number, options).await
    }

    async fn read_part(&self, scope: &Scope, key: &TempKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        read::part(&self.inner, scope, key, range).await
    }

    async fn stat_part(&self, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
        self.inner.sessions.are_parts_certain(scope, &key.session)?;
        read::row(&self.inner, scope, key).await?.map(put_part::receipt).ok_or(Error::NotFound)
    }

    async fn join_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        parts: &[TempKey],
    ) -> Result<PartReceipt> {
        join::join(self, scope, session, number, parts).await
    }

    async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool> {
        self.inner.sessions.are_parts_certain(scope, &key.session)?;
        let (of, key) = (scope.clone(), key.clone());
        let deleted = self.inner.index.free(move |conn| parts::delete(conn, &of, &key)).await?;
        let Some(row) = deleted else { return Ok(false) };
        if row.file == parts::PartFile::Own {
            let path = layout::own(scope, &row.key.session, &row.key.token);
            self.unlink_later(move |inner| inner.disk.unlink(&path)).await;
        }
        Ok(true)
    }

    async fn list_parts(
        &self,
        scope: &Scope,
        session: &SessionId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ListedPart>> {
        let after = after.map(|cursor| cursor.as_str().parse::<u32>()).transpose();
        let after = after.map_err(|_| Error::InvalidArgument(Argument::Cursor))?;
        self.inner.sessions.are_parts_certain(scope, session)?;
        let (scope, session) = (scope.clone(), session.clone());
        let rows = self.read(move |conn| parts::list(conn, &scope, &session, after, limit + 1)).await?;
        page(rows, limit, |part| part.key.number.to_string())
    }

    async fn list_sessions(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<SessionId>> {
        let (scope, after) = (scope.clone(), after.cloned());
        let after =
            move |conn: &Connection| parts::sessions(conn, &scope, after.as_ref().map(Cursor::as_str), limit + 1);
        page(self.read(after).await?, limit, |session| session.as_str().to_owned())
    }

    async fn delete_session(&self, scope: &Scope, session: &SessionId) -> Result<u32> {
        let (inner, scope, session) = (self.inner.clone(), scope.clone(), session.clone());
        detached(async move { sweep::clear_session(&inner, &scope, &session).await }).await
    }

    async fn interrupt(&self, scope: &Scope, session: &SessionId) -> Result<()> {
        self.inner.sessions.end_contents(scope, session).await;
        self.inner.sessions.interrupt(scope, session).await;
        Ok(())
    }

    async fn begin_final(
        &self,
        scope: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Box<dyn Writer<FinalReceipt>>> {
        put_final::begin_final(&self.inner, scope, file, options).await
    }

    async fn assemble(
        &self,
        scope: &Scope,
        file: &FileId,
        parts: &[TempKey],
        options: FinalOptions,
    ) -> Result<FinalReceipt> {
        let (inner, scope, file, parts) = (self.inner.clone(), scope.clone(), file.clone(), parts.to_vec());
        detached(async move { assemble::assemble(&inner, scope, file, parts, options).await }).await
    }

    async fn read_final(&self, scope: &Scope, key: &FinalKey, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        read::final_object(&self.inner, scope, key, range).await
    }

    async fn open_final(&self, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>> {
        read::open_final(&self.inner, scope, file).await
    }

    async fn stat_final(&self, scope: &Scope, file: &FileId) -> Result<FinalReceipt> {
        finals::FinalRow::live(publish::stat(&self.inner, scope, file).await?)
    }

    async fn stat_finals(&self, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
        for file in files {
            self.inner.names.is_certain(scope, file)?;
        }
        let (scope, files) = (scope.clone(), files.to_vec());
        let receipt = move |conn: &Connection, file: &FileId| match finals::get(conn, &scope, file)? {
            Some(finals::FinalRow::Live(receipt)) => Ok(Some(receipt)),
            Some(finals::FinalRow::Gone(_)) | None => Ok(None),
        };
        self.read(move |conn| files.iter().map(|file| receipt(conn, file)).collect()).await
    }

    async fn delete_final(&self, scope: &Scope, key: &FinalKey) -> Result<bool> {
        let (inner, scope, key) = (self.inner.clone(), scope.clone(), key.clone());
        detached(async move { ended::delete(&inner, &scope, &key).await }).await
    }

    async fn list_finals(&self, scope: &Scope, after: Option<&Cursor>, limit: u32) -> Result<Page<FileId>> {
        let (scope, after) = (scope.clone(), after.cloned());
        let after = move |conn: &Connection| finals::list(conn, &scope, after.as_ref().map(Cursor::as_str), limit + 1);
        page(self.read(after).await?, limit, |file| file.as_str().to_owned())
    }

    async fn void_final(&self, scope: &Scope, file: &FileId, reason: &Reason) -> Result<bool> {
        let (scope, file, reason) = (scope.clone(), file.clone(), reason.clone());
        self.inner.index.free(move |conn| finals::void(conn, &scope, &file, reason.as_str(), now_ms())).await
    }

    async fn purge_gone(&self, scope: &Scope, before_ms: u64, after: Option<&Cursor>) -> Result<Purged> {
        let (inner, scope, after) = (self.inner.clone(), scope.clone(), after.cloned());
        detached(async move { ended::purge(&inner, &scope, before_ms, after.as_ref()).await }).await
    }

    async fn create_record(&self, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
        let (scope, name, value) = (scope.clone(), name.clone(), value.to_vec());
        self.inner.index.write(move |conn| records::create(conn, &scope, &name, &value)).await
    }

    async fn get_record(&self, scope: &Scope, name: &RecordName) -> Result<Record> {
        let (scope, name) = (scope.clone(), name.clone());
        self.read(move |conn| records::get(conn, &scope, &name)).await
    }

    async fn replace_record(&self, scope: &Scope, name: &RecordName, version: &str, value: &[u8]) -> Result<String> {
        let (scope, name, version, value) = (scope.clone(), name.clone(), version.to_owned(), value.to_vec());
        self.inner.index.write(move |conn| records::replace(conn, &scope, &name, &version, &value)).await
    }

    async fn delete_record(&self, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool> {
        let (scope, name, version) = (scope.clone(), name.clone(), version.map(str::to_owned));
        self.inner.index.free(move |conn| records::delete(conn, &scope, &name, version.as_deref())).await
    }

    async fn list_records(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RecordName>> {
        let (scope, prefix, after) = (scope.clone(), prefix.to_owned(), after.cloned());
        let rows = self
            .read(move |conn| records::list(conn, &scope, &prefix, after.as_ref().map(Cursor::as_str), limit + 1))
            .await?;
        page(rows, limit, |name| name.as_str().to_owned())
    }

    async fn sweep(&self) -> Result<SweepReport> {
        let inner = self.inner.clone();
        detached(async move { sweep::sweep(&inner).await }).await
    }
}

impl LocalStore {
    /// Waits until the running puts have ended, and what failed puts had written is removed. Some of that is removed in
    /// the background, also of puts whose callers are gone.
    pub async fn settle(&self) {
        self.inner.asides.settle().await;
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        self.inner.index.read(work).await
    }

    /// Removes data that no row names any more. A failure is only logged: a sweep will repeat the removal.
    async fn unlink_later(&self, work: impl FnOnce(&Inner) -> Result<bool> + Send + 'static) {
        if let Err(error) = blocking(&self.inner, move |inner| work(inner)).await {
            tracing::warn!(error = %error.told(), "deleted data is left behind; the next sweep removes it");
        }
    }
}

/// A page of rows, of which the query asked for one more than the limit.
fn page<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Result<Page<T>> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = if more { rows.last().map(|row| Cursor::parse(&cursor(row))).transpose()? } else { None };
    Ok(Page { entries: rows, next })
}
