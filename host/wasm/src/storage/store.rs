//! The resource `store`.

use super::convert::{self, Listing};
use super::reader::FinalReader;
use super::{Result, StorageCtxView, Store};
use crate::bindings::portico::storage::storage as wit;
use crate::streams::{AnyUpload, GuestWriter};
use portico_store::{Error, FileId, FinalKey, Reason, RecordName, SessionId, TempKey, join_parts, put_final, put_part};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

impl wit::HostStore for StorageCtxView<'_> {
    async fn info(&mut self, store: Resource<Store>) -> wasmtime::Result<wit::StoreInfo> {
        Ok(self.table.get(&store)?.backend.info().into())
    }

    async fn scope(&mut self, store: Resource<Store>, name: String) -> Result<Resource<Store>> {
        let Store { backend, scope } = self.store(&store)?;
        let scope = scope.narrow(&name)?;
        Ok(self.table.push(Store { backend, scope })?)
    }

    async fn put_temp_part(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        content: Resource<DynInputStream>,
        options: wit::PartOptions,
    ) -> Result<wit::TempPart> {
        let mut source = self.take_content(content)?;
        let Store { backend, scope } = self.store(&store)?;
        let session = SessionId::parse(&session_id)?;
        let options = options.try_into()?;
        let put = put_part(&*backend, &scope, &session, part_number, &mut source, options).await;
        Ok(source.outcome(put)??.into())
    }

    async fn get_temp_part_stream(
        &mut self,
        store: Resource<Store>,
        temp_key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let Store { backend, scope } = self.store(&store)?;
        let key = TempKey::parse(&temp_key)?;
        let permit = self.ctx.permit()?;
        let stream = backend.read_part(&scope, &key, convert::range(range)).await?;
        self.push_stream(stream, permit)
    }

    async fn stat_temp_part(&mut self, store: Resource<Store>, temp_key: String) -> Result<wit::TempPart> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.stat_part(&scope, &TempKey::parse(&temp_key)?).await?.into())
    }

    async fn join_temp_parts(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        parts: Vec<String>,
    ) -> Result<wit::TempPart> {
        let Store { backend, scope } = self.store(&store)?;
        let session = SessionId::parse(&session_id)?;
        let parts = convert::joined(&parts)?;
        Ok(join_parts(&*backend, &scope, &session, part_number, &parts).await?.into())
    }

    async fn delete_temp_part(&mut self, store: Resource<Store>, temp_key: String) -> Result<bool> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.delete_part(&scope, &TempKey::parse(&temp_key)?).await?)
    }

    async fn list_temp_parts(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::PartsPage> {
        let Store { backend, scope } = self.store(&store)?;
        let session = SessionId::parse(&session_id)?;
        let (after, limit) = convert::page(Listing::Parts, after, limit)?;
        Ok(backend.list_parts(&scope, &session, after.as_ref(), limit).await?.into())
    }

    async fn list_temp_sessions(
        &mut self,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::SessionsPage> {
        let Store { backend, scope } = self.store(&store)?;
        let (after, limit) = convert::page(Listing::Sessions, after, limit)?;
        Ok(backend.list_sessions(&scope, after.as_ref(), limit).await?.into())
    }

    async fn delete_session_parts(&mut self, store: Resource<Store>, session_id: String) -> Result<u32> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.delete_session(&scope, &SessionId::parse(&session_id)?).await?)
    }

    async fn interrupt(&mut self, store: Resource<Store>, session_id: String) -> Result<()> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.interrupt(&scope, &SessionId::parse(&session_id)?).await?)
    }

    async fn put_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        content: Resource<DynInputStream>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let mut source = self.take_content(content)?;
        let Store { backend, scope } = self.store(&store)?;
        let file = FileId::parse(&file_id)?;
        let options = options.try_into()?;
        let put = put_final(&*backend, &scope, &file, &mut source, options).await;
        Ok(source.outcome(put)??.into())
    }

    async fn assemble_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        parts: Vec<String>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let Store { backend, scope } = self.store(&store)?;
        let file = FileId::parse(&file_id)?;
        let parts = convert::parts(parts)?;
        Ok(backend.assemble(&scope, &file, &parts, options.try_into()?).await?.into())
    }

    async fn get_final_stream(
        &mut self,
        store: Resource<Store>,
        bucket: String,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let Store { backend, scope } = self.store(&store)?;
        let key = FinalKey::new(&bucket, &key).ok_or(Error::NotFound)?;
        let permit = self.ctx.permit()?;
        let stream = backend.read_final(&scope, &key, convert::range(range)).await?;
        self.push_stream(stream, permit)
    }

    async fn open_final(&mut self, store: Resource<Store>, file_id: String) -> Result<Resource<FinalReader>> {
        let Store { backend, scope } = self.store(&store)?;
        let file = FileId::parse(&file_id)?;
        let permit = self.ctx.permit()?;
        let reader = backend.open_final(&scope, &file).await?;
        Ok(self.table.push(FinalReader::new(reader, permit))?)
    }

    async fn stat_final(&mut self, store: Resource<Store>, file_id: String) -> Result<wit::StoredObject> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.stat_final(&scope, &FileId::parse(&file_id)?).await?.into())
    }

    async fn stat_finals(
        &mut self,
        store: Resource<Store>,
        file_ids: Vec<String>,
    ) -> Result<Vec<Option<wit::StoredObject>>> {
        let Store { backend, scope } = self.store(&store)?;
        let files = convert::files(&file_ids)?;
        let receipts = backend.stat_finals(&scope, &files).await?;
        Ok(receipts.into_iter().map(|receipt| receipt.map(Into::into)).collect())
    }

    async fn delete_final(&mut self, store: Resource<Store>, bucket: String, key: String) -> Result<bool> {
        let Store { backend, scope } = self.store(&store)?;
        match FinalKey::new(&bucket, &key) {
            Some(key) => Ok(backend.delete_final(&scope, &key).await?),
            None => Ok(false),
        }
    }

    async fn list_finals(
        &mut self,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::FinalsPage> {
        let Store { backend, scope } = self.store(&store)?;
        let (after, limit) = convert::page(Listing::Finals, after, limit)?;
        Ok(backend.list_finals(&scope, after.as_ref(), limit).await?.into())
    }

    async fn void_final(&mut self, store: Resource<Store>, file_id: String, reason: String) -> Result<bool> {
        let Store { backend, scope } = self.store(&store)?;
        let file = FileId::parse(&file_id)?;
        Ok(backend.void_final(&scope, &file, &Reason::parse(&reason)?).await?)
    }

    async fn purge_gone(
        &mut self,
        store: Resource<Store>,
        before: u64,
        after: Option<String>,
    ) -> Result<wit::PurgedPage> {
        let Store { backend, scope } = self.store(&store)?;
        let (after, _) = convert::page(Listing::Gone, after, 1)?;
        let step = backend.purge_gone(&scope, before, after.as_ref()).await?;
        Ok(wit::PurgedPage { purged: step.purged, next: Listing::Gone.write(step.next) })
    }

    async fn create_temp_part(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        options: wit::PartOptions,
    ) -> Result<Resource<GuestWriter>> {
        let Store { backend, scope } = self.store(&store)?;
        let session = SessionId::parse(&session_id)?;
        // A writer has no source of its own that could fail.
        let options = portico_store::PartOptions { keep_prefix: false, ..options.try_into()? };
        let permit = self.ctx.permit()?;
        let upload = portico_store::Upload::part(&*backend, &scope, &session, part_number, options).await?;
        Ok(self.table.push(GuestWriter::new(AnyUpload::Part(upload.into()), permit))?)
    }

    async fn create_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        options: wit::FinalOptions,
    ) -> Result<Resource<GuestWriter>> {
        let Store { backend, scope } = self.store(&store)?;
        let file = FileId::parse(&file_id)?;
        let options = options.try_into()?;
        let permit = self.ctx.permit()?;
        let upload = portico_store::Upload::final_object(&*backend, &scope, &file, options).await?;
        Ok(self.table.push(GuestWriter::new(AnyUpload::Final(upload.into()), permit))?)
    }

    async fn create_record(&mut self, store: Resource<Store>, name: String, value: Vec<u8>) -> Result<String> {
        let Store { backend, scope } = self.store(&store)?;
        let name = RecordName::parse(&name)?;
        convert::record_value(&value)?;
        Ok(backend.create_record(&scope, &name, &value).await?)
    }

    async fn get_record(&mut self, store: Resource<Store>, name: String) -> Result<wit::StoredRecord> {
        let Store { backend, scope } = self.store(&store)?;
        Ok(backend.get_record(&scope, &RecordName::parse(&name)?).await?.into())
    }

    async fn replace_record(
        &mut self,
        store: Resource<Store>,
        name: String,
        version: String,
        value: Vec<u8>,
    ) -> Result<String> {
        let Store { backend, scope } = self.store(&store)?;
        let name = RecordName::parse(&name)?;
        convert::record_value(&value)?;
        Ok(backend.replace_record(&scope, &name, &version, &value).await?)
    }

    async fn delete_record(&mut self, store: Resource<Store>, name: String, version: Option<String>) -> Result<bool> {
        let Store { backend, scope } = self.store(&store)?;
        let name = RecordName::parse(&name)?;
        Ok(backend.delete_record(&scope, &name, version.as_deref()).await?)
    }

    async fn list_records(
        &mut self,
        store: Resource<Store>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::RecordsPage> {
        let Store { backend, scope } = self.store(&store)?;
        convert::record_prefix(&prefix)?;
        let (after, limit) = convert::page(Listing::Records, after, limit)?;
        Ok(backend.list_records(&scope, &prefix, after.as_ref(), limit).await?.into())
    }

    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
