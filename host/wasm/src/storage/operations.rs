//! The operations on one scope of a backend, with the checks of their arguments. Each generation of the interface calls
//! these, so that all do the same.
//!
//! Invariant: every name is checked before a backend sees it.

use super::arguments::{self, Listing};
use crate::streams::AnyUpload;
use portico_store::stream::ByteStream;
use portico_store::{
    Backend, ByteRange, Error, FileId, FinalKey, FinalOptions, FinalReader, FinalReceipt, ListedPart, Page,
    PartOptions, PartReceipt, Purged, Reason, Record, RecordName, Result, Scope, SessionId, TempKey, assemble_final,
    join_parts, put_final, put_part,
};
use std::sync::Arc;

/// The resource behind a guest's `store`.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct Store {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) scope: Scope,
}

impl Store {
    pub(crate) fn info(&self) -> portico_store::Info {
        self.backend.info()
    }

    pub(crate) fn narrow(&self, name: &str) -> Result<Store> {
        Ok(Store { backend: Arc::clone(&self.backend), scope: self.scope.narrow(name)? })
    }

    pub(crate) async fn put_part(
        &self,
        session: &str,
        number: u32,
        content: &mut dyn ByteStream,
        options: impl TryInto<PartOptions, Error = Error>,
    ) -> Result<PartReceipt> {
        let session = SessionId::parse(session)?;
        let options = options.try_into()?;
        put_part(&*self.backend, &self.scope, &session, number, content, options).await
    }

    pub(crate) async fn read_part(&self, key: &str, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        self.backend.read_part(&self.scope, &TempKey::parse(key)?, range).await
    }

    pub(crate) async fn stat_part(&self, key: &str) -> Result<PartReceipt> {
        self.backend.stat_part(&self.scope, &TempKey::parse(key)?).await
    }

    pub(crate) async fn join_parts(&self, session: &str, number: u32, parts: &[String]) -> Result<PartReceipt> {
        let session = SessionId::parse(session)?;
        let parts = arguments::joined(parts)?;
        join_parts(&*self.backend, &self.scope, &session, number, &parts).await
    }

    pub(crate) async fn delete_part(&self, key: &str) -> Result<bool> {
        self.backend.delete_part(&self.scope, &TempKey::parse(key)?).await
    }

    pub(crate) async fn list_parts(
        &self,
        session: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<ListedPart>> {
        let session = SessionId::parse(session)?;
        let (after, limit) = arguments::page(Listing::Parts, after, limit)?;
        self.backend.list_parts(&self.scope, &session, after.as_ref(), limit).await
    }

    pub(crate) async fn list_sessions(&self, after: Option<String>, limit: u32) -> Result<Page<SessionId>> {
        let (after, limit) = arguments::page(Listing::Sessions, after, limit)?;
        self.backend.list_sessions(&self.scope, after.as_ref(), limit).await
    }

    pub(crate) async fn delete_session(&self, session: &str) -> Result<u32> {
        self.backend.delete_session(&self.scope, &SessionId::parse(session)?).await
    }

    pub(crate) async fn interrupt(&self, session: &str) -> Result<()> {
        self.backend.interrupt(&self.scope, &SessionId::parse(session)?).await
    }

    pub(crate) async fn put_final(
        &self,
        file: &str,
        content: &mut dyn ByteStream,
        options: impl TryInto<FinalOptions, Error = Error>,
    ) -> Result<FinalReceipt> {
        let file = FileId::parse(file)?;
        let options = options.try_into()?;
        put_final(&*self.backend, &self.scope, &file, content, options).await
    }

    pub(crate) async fn assemble_final(
        &self,
        file: &str,
        parts: Vec<String>,
        options: impl TryInto<FinalOptions, Error = Error>,
    ) -> Result<FinalReceipt> {
        let file = FileId::parse(file)?;
        let parts = arguments::parts(parts)?;
        let options = options.try_into()?;
        assemble_final(&*self.backend, &self.scope, &file, &parts, options).await
    }

    pub(crate) async fn read_final(&self, bucket: &str, key: &str, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let key = FinalKey::new(bucket, key).ok_or(Error::NotFound)?;
        self.backend.read_final(&self.scope, &key, range).await
    }

    pub(crate) async fn open_final(&self, file: &str) -> Result<Box<dyn FinalReader>> {
        self.backend.open_final(&self.scope, &FileId::parse(file)?).await
    }

    pub(crate) async fn stat_final(&self, file: &str) -> Result<FinalReceipt> {
        self.backend.stat_final(&self.scope, &FileId::parse(file)?).await
    }

    pub(crate) async fn stat_finals(&self, files: &[String]) -> Result<Vec<Option<FinalReceipt>>> {
        self.backend.stat_finals(&self.scope, &arguments::files(files)?).await
    }

    pub(crate) async fn delete_final(&self, bucket: &str, key: &str) -> Result<bool> {
        match FinalKey::new(bucket, key) {
            Some(key) => self.backend.delete_final(&self.scope, &key).await,
            None => Ok(false),
        }
    }

    pub(crate) async fn list_finals(&self, after: Option<String>, limit: u32) -> Result<Page<FileId>> {
        let (after, limit) = arguments::page(Listing::Finals, after, limit)?;
        self.backend.list_finals(&self.scope, after.as_ref(), limit).await
    }

    pub(crate) async fn void_final(&self, file: &str, reason: &str) -> Result<bool> {
        let file = FileId::parse(file)?;
        self.backend.void_final(&self.scope, &file, &Reason::parse(reason)?).await
    }

    pub(crate) async fn purge_gone(&self, before: u64, after: Option<String>) -> Result<Purged> {
        let (after, _) = arguments::page(Listing::Gone, after, 1)?;
        self.backend.purge_gone(&self.scope, before, after.as_ref()).await
    }

    pub(crate) async fn begin_part(
        &self,
        session: &str,
        number: u32,
        options: impl TryInto<PartOptions, Error = Error>,
    ) -> Result<AnyUpload> {
        let session = SessionId::parse(session)?;
        // A writer has no source of its own that could fail.
        let options = PartOptions { keep_prefix: false, ..options.try_into()? };
        let upload = portico_store::Upload::part(&*self.backend, &self.scope, &session, number, options).await?;
        Ok(AnyUpload::Part(upload.into()))
    }

    pub(crate) async fn begin_final(
        &self,
        file: &str,
        options: impl TryInto<FinalOptions, Error = Error>,
    ) -> Result<AnyUpload> {
        let file = FileId::parse(file)?;
        let options = options.try_into()?;
        let upload = portico_store::Upload::final_object(&*self.backend, &self.scope, &file, options).await?;
        Ok(AnyUpload::Final(upload.into()))
    }

    pub(crate) async fn create_record(&self, name: &str, value: &[u8]) -> Result<String> {
        let name = RecordName::parse(name)?;
        arguments::record_value(value)?;
        self.backend.create_record(&self.scope, &name, value).await
    }

    pub(crate) async fn get_record(&self, name: &str) -> Result<Record> {
        self.backend.get_record(&self.scope, &RecordName::parse(name)?).await
    }

    pub(crate) async fn replace_record(&self, name: &str, version: &str, value: &[u8]) -> Result<String> {
        let name = RecordName::parse(name)?;
        arguments::record_value(value)?;
        self.backend.replace_record(&self.scope, &name, version, value).await
    }

    pub(crate) async fn delete_record(&self, name: &str, version: Option<&str>) -> Result<bool> {
        self.backend.delete_record(&self.scope, &RecordName::parse(name)?, version).await
    }

    pub(crate) async fn list_records(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<RecordName>> {
        arguments::record_prefix(prefix)?;
        let (after, limit) = arguments::page(Listing::Records, after, limit)?;
        self.backend.list_records(&self.scope, prefix, after.as_ref(), limit).await
    }
}
