//! The resource `store`.

use super::reader::FinalReader;
use super::{Result, StorageCtxView, Store, convert};
use crate::bindings::portico::storage::storage as wit;
use crate::streams::GuestWriter;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

impl wit::HostStore for StorageCtxView<'_> {
    async fn info(&mut self, store: Resource<Store>) -> wasmtime::Result<wit::StoreInfo> {
        Ok(self.table.get(&store)?.info().into())
    }

    async fn scope(&mut self, store: Resource<Store>, name: String) -> Result<Resource<Store>> {
        let narrower = self.store(&store)?.narrow(&name)?;
        Ok(self.table.push(narrower)?)
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
        let put = self.store(&store)?.put_part(&session_id, part_number, &mut source, options).await;
        Ok(source.outcome(put)??.into())
    }

    async fn get_temp_part_stream(
        &mut self,
        store: Resource<Store>,
        temp_key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let permit = self.ctx.permit()?;
        let stream = self.store(&store)?.read_part(&temp_key, convert::range(range)).await?;
        self.push_stream(stream, permit)
    }

    async fn stat_temp_part(&mut self, store: Resource<Store>, temp_key: String) -> Result<wit::TempPart> {
        Ok(self.store(&store)?.stat_part(&temp_key).await?.into())
    }

    async fn join_temp_parts(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        parts: Vec<String>,
    ) -> Result<wit::TempPart> {
        Ok(self.store(&store)?.join_parts(&session_id, part_number, &parts).await?.into())
    }

    async fn delete_temp_part(&mut self, store: Resource<Store>, temp_key: String) -> Result<bool> {
        Ok(self.store(&store)?.delete_part(&temp_key).await?)
    }

    async fn list_temp_parts(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::PartsPage> {
        Ok(self.store(&store)?.list_parts(&session_id, after, limit).await?.into())
    }

    async fn list_temp_sessions(
        &mut self,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::SessionsPage> {
        Ok(self.store(&store)?.list_sessions(after, limit).await?.into())
    }

    async fn delete_session_parts(&mut self, store: Resource<Store>, session_id: String) -> Result<u32> {
        Ok(self.store(&store)?.delete_session(&session_id).await?)
    }

    async fn interrupt(&mut self, store: Resource<Store>, session_id: String) -> Result<()> {
        Ok(self.store(&store)?.interrupt(&session_id).await?)
    }

    async fn put_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        content: Resource<DynInputStream>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let mut source = self.take_content(content)?;
        let put = self.store(&store)?.put_final(&file_id, &mut source, options).await;
        Ok(source.outcome(put)??.into())
    }

    async fn assemble_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        parts: Vec<String>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        Ok(self.store(&store)?.assemble_final(&file_id, parts, options).await?.into())
    }

    async fn get_final_stream(
        &mut self,
        store: Resource<Store>,
        bucket: String,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let permit = self.ctx.permit()?;
        let stream = self.store(&store)?.read_final(&bucket, &key, convert::range(range)).await?;
        self.push_stream(stream, permit)
    }

    async fn open_final(&mut self, store: Resource<Store>, file_id: String) -> Result<Resource<FinalReader>> {
        let permit = self.ctx.permit()?;
        let reader = self.store(&store)?.open_final(&file_id).await?;
        Ok(self.table.push(FinalReader::new(reader, permit))?)
    }

    async fn stat_final(&mut self, store: Resource<Store>, file_id: String) -> Result<wit::StoredObject> {
        Ok(self.store(&store)?.stat_final(&file_id).await?.into())
    }

    async fn stat_finals(
        &mut self,
        store: Resource<Store>,
        file_ids: Vec<String>,
    ) -> Result<Vec<Option<wit::StoredObject>>> {
        let receipts = self.store(&store)?.stat_finals(&file_ids).await?;
        Ok(receipts.into_iter().map(|receipt| receipt.map(Into::into)).collect())
    }

    async fn delete_final(&mut self, store: Resource<Store>, bucket: String, key: String) -> Result<bool> {
        Ok(self.store(&store)?.delete_final(&bucket, &key).await?)
    }

    async fn list_finals(
        &mut self,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::FinalsPage> {
        Ok(self.store(&store)?.list_finals(after, limit).await?.into())
    }

    async fn void_final(&mut self, store: Resource<Store>, file_id: String, reason: String) -> Result<bool> {
        Ok(self.store(&store)?.void_final(&file_id, &reason).await?)
    }

    async fn purge_gone(
        &mut self,
        store: Resource<Store>,
        before: u64,
        after: Option<String>,
    ) -> Result<wit::PurgedPage> {
        Ok(self.store(&store)?.purge_gone(before, after).await?.into())
    }

    async fn create_temp_part(
        &mut self,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        options: wit::PartOptions,
    ) -> Result<Resource<GuestWriter>> {
        let permit = self.ctx.permit()?;
        let upload = self.store(&store)?.begin_part(&session_id, part_number, options).await?;
        Ok(self.table.push(GuestWriter::new(upload, permit))?)
    }

    async fn create_final(
        &mut self,
        store: Resource<Store>,
        file_id: String,
        options: wit::FinalOptions,
    ) -> Result<Resource<GuestWriter>> {
        let permit = self.ctx.permit()?;
        let upload = self.store(&store)?.begin_final(&file_id, options).await?;
        Ok(self.table.push(GuestWriter::new(upload, permit))?)
    }

    async fn create_record(&mut self, store: Resource<Store>, name: String, value: Vec<u8>) -> Result<String> {
        Ok(self.store(&store)?.create_record(&name, &value).await?)
    }

    async fn get_record(&mut self, store: Resource<Store>, name: String) -> Result<wit::StoredRecord> {
        Ok(self.store(&store)?.get_record(&name).await?.into())
    }

    async fn replace_record(
        &mut self,
        store: Resource<Store>,
        name: String,
        version: String,
        value: Vec<u8>,
    ) -> Result<String> {
        Ok(self.store(&store)?.replace_record(&name, &version, &value).await?)
    }

    async fn delete_record(&mut self, store: Resource<Store>, name: String, version: Option<String>) -> Result<bool> {
        Ok(self.store(&store)?.delete_record(&name, version.as_deref()).await?)
    }

    async fn list_records(
        &mut self,
        store: Resource<Store>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::RecordsPage> {
        Ok(self.store(&store)?.list_records(&prefix, after, limit).await?.into())
    }

    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
