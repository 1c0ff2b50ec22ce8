//! The resource `final-reader`.

use super::{Result, StorageCtxView, convert};
use crate::bindings::portico::storage::storage as wit;
use crate::streams::Permit;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

/// The resource behind a guest's `final-reader`.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct FinalReader {
    pub(crate) object: Arc<dyn portico_store::FinalReader>,
    _permit: Permit,
}

impl FinalReader {
    pub(crate) fn new(object: Box<dyn portico_store::FinalReader>, permit: Permit) -> Self {
        FinalReader { object: object.into(), _permit: permit }
    }
}

impl wit::HostFinalReader for StorageCtxView<'_> {
    async fn receipt(&mut self, reader: Resource<FinalReader>) -> wasmtime::Result<wit::StoredObject> {
        Ok(self.table.get(&reader)?.object.receipt().clone().into())
    }

    async fn stream(
        &mut self,
        reader: Resource<FinalReader>,
        range: Option<wit::ByteRange>,
    ) -> Result<Resource<DynInputStream>> {
        let object = self.table.get(&reader)?.object.clone();
        let permit = self.ctx.permit()?;
        let stream = object.stream(convert::range(range)).await?;
        self.push_stream(stream, permit)
    }

    async fn drop(&mut self, reader: Resource<FinalReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}
