//! The resource `store`.

use super::host::{begin, open};
use super::reader::{Content, push};
use super::source::{Pull, Status};
use super::{convert, wit};
use crate::StorageCtxView;
use crate::storage::reader::FinalReader;
use crate::storage::{Result, Storage, Store};
use crate::streams::GuestWriter;
use wasmtime::component::{Accessor, Resource, StreamReader};

impl wit::HostStore for StorageCtxView<'_> {
    fn info(&mut self, store: Resource<Store>) -> wasmtime::Result<wit::StoreInfo> {
        Ok(self.table.get(&store)?.info().into())
    }

    fn scope(&mut self, store: Resource<Store>, name: String) -> Result<Resource<Store>> {
        let narrower = self.store(&store)?.narrow(&name)?;
        Ok(self.table.push(narrower)?)
    }

    fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: Send + 'static> wit::HostStoreWithStore<T> for Storage {
    async fn put_temp_part(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        content: StreamReader<u8>,
        status: Status,
        options: wit::PartOptions,
    ) -> Result<wit::TempPart> {
        let mut source = accessor.with(|access| Pull::take(access, content, status))?;
        let (store, _call) = begin(accessor, &store)?;
        let _permit = open(accessor)?;
        Ok(store.put_part(&session_id, part_number, &mut source, options).await?.into())
    }

    async fn get_temp_part_stream(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        temp_key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Content> {
        let (store, _call) = begin(accessor, &store)?;
        let permit = open(accessor)?;
        let stream = store.read_part(&temp_key, convert::range(range)).await?;
        push(accessor, stream, permit)
    }

    async fn stat_temp_part(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        temp_key: String,
    ) -> Result<wit::TempPart> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.stat_part(&temp_key).await?.into())
    }

    async fn join_temp_parts(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        parts: Vec<String>,
    ) -> Result<wit::TempPart> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.join_parts(&session_id, part_number, &parts).await?.into())
    }

    async fn delete_temp_part(accessor: &Accessor<T, Self>, store: Resource<Store>, temp_key: String) -> Result<bool> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.delete_part(&temp_key).await?)
    }

    async fn list_temp_parts(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        session_id: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::PartsPage> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.list_parts(&session_id, after, limit).await?.into())
    }

    async fn list_temp_sessions(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::SessionsPage> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.list_sessions(after, limit).await?.into())
    }

    async fn delete_session_parts(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        session_id: String,
    ) -> Result<u32> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.delete_session(&session_id).await?)
    }

    async fn interrupt(accessor: &Accessor<T, Self>, store: Resource<Store>, session_id: String) -> Result<()> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.interrupt(&session_id).await?)
    }

    async fn put_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
        content: StreamReader<u8>,
        status: Status,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let mut source = accessor.with(|access| Pull::take(access, content, status))?;
        let (store, _call) = begin(accessor, &store)?;
        let _permit = open(accessor)?;
        Ok(store.put_final(&file_id, &mut source, options).await?.into())
    }

    async fn assemble_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
        parts: Vec<String>,
        options: wit::FinalOptions,
    ) -> Result<wit::StoredObject> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.assemble_final(&file_id, parts, options).await?.into())
    }

    async fn get_final_stream(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        bucket: String,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Result<Content> {
        let (store, _call) = begin(accessor, &store)?;
        let permit = open(accessor)?;
        let stream = store.read_final(&bucket, &key, convert::range(range)).await?;
        push(accessor, stream, permit)
    }

    async fn open_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
    ) -> Result<Resource<FinalReader>> {
        let (store, _call) = begin(accessor, &store)?;
        let permit = open(accessor)?;
        let reader = FinalReader::new(store.open_final(&file_id).await?, permit);
        accessor.with(|mut access| Ok(access.get().table.push(reader)?))
    }

    async fn stat_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
    ) -> Result<wit::StoredObject> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.stat_final(&file_id).await?.into())
    }

    async fn stat_finals(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_ids: Vec<String>,
    ) -> Result<Vec<Option<wit::StoredObject>>> {
        let (store, _call) = begin(accessor, &store)?;
        let receipts = store.stat_finals(&file_ids).await?;
        Ok(receipts.into_iter().map(|receipt| receipt.map(Into::into)).collect())
    }

    async fn delete_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        bucket: String,
        key: String,
    ) -> Result<bool> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.delete_final(&bucket, &key).await?)
    }

    async fn list_finals(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::FinalsPage> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.list_finals(after, limit).await?.into())
    }

    async fn void_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
        reason: String,
    ) -> Result<bool> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.void_final(&file_id, &reason).await?)
    }

    async fn purge_gone(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        before: u64,
        after: Option<String>,
    ) -> Result<wit::PurgedPage> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.purge_gone(before, after).await?.into())
    }

    async fn create_temp_part(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        session_id: String,
        part_number: u32,
        options: wit::PartOptions,
    ) -> Result<Resource<GuestWriter>> {
        let (store, _call) = begin(accessor, &store)?;
        let permit = open(accessor)?;
        let writer = GuestWriter::new(store.begin_part(&session_id, part_number, options).await?, permit);
        accessor.with(|mut access| Ok(access.get().table.push(writer)?))
    }

    async fn create_final(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        file_id: String,
        options: wit::FinalOptions,
    ) -> Result<Resource<GuestWriter>> {
        let (store, _call) = begin(accessor, &store)?;
        let permit = open(accessor)?;
        let writer = GuestWriter::new(store.begin_final(&file_id, options).await?, permit);
        accessor.with(|mut access| Ok(access.get().table.push(writer)?))
    }

    async fn create_record(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        name: String,
        value: Vec<u8>,
    ) -> Result<String> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.create_record(&name, &value).await?)
    }

    async fn get_record(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        name: String,
    ) -> Result<wit::StoredRecord> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.get_record(&name).await?.into())
    }

    async fn replace_record(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        name: String,
        version: String,
        value: Vec<u8>,
    ) -> Result<String> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.replace_record(&name, &version, &value).await?)
    }

    async fn delete_record(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        name: String,
        version: Option<String>,
    ) -> Result<bool> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.delete_record(&name, version.as_deref()).await?)
    }

    async fn list_records(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<wit::RecordsPage> {
        let (store, _call) = begin(accessor, &store)?;
        Ok(store.list_records(&prefix, after, limit).await?.into())
    }
}
