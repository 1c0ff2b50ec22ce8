//! The resource `final-reader`.

use super::{Result, StorageCtxView, convert};
use crate::bindings::portico::storage::storage as wit;
use crate::streams::Place;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

/// A final object that a guest has open.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct FinalReader {
    object: Arc<dyn portico_store::FinalReader>,
    _place: Place,
}

impl FinalReader {
    pub(super) fn new(object: Box<dyn portico_store::FinalReader>, place: Place) -> Self {
        FinalReader { object: object.into(), _place: place }
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
        let place = self.ctx.place()?;
        let stream = object.stream(convert::range(range)).await?;
        self.push_stream(stream, place)
    }

    async fn drop(&mut self, reader: Resource<FinalReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}
