//! Opens parts and final objects for reading.

use crate::content::reading::{Source, open};
use crate::keys::ObjectKey;
use crate::operations::put_final::{data_of, stat};
use crate::shared::Inner;
use crate::slots::receipt::Part;
use crate::slots::slot::live;
use async_trait::async_trait;
use portico_store::stream::ByteStream;
use portico_store::{
    ByteRange, Error, FileId, FinalKey, FinalReader, FinalReceipt, PartReceipt, Result, Scope, TempKey,
};
use std::sync::Arc;

pub(crate) async fn part(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let size = there(inner, scope, key).await?.size;
    let (start, end) = range.within(size)?;
    let source = Source { object: inner.keys.temp_data(scope, key), size };
    match open(inner, source, start..end).await {
        // The data is gone with its receipt, or lost.
        Err(Error::NotFound) => Err(there(inner, scope, key).await.err().unwrap_or_else(|| lost(&key))),
        opened => opened,
    }
}

/// Returns the receipt of a part.
pub(crate) async fn stat_part(inner: &Inner, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
    there(inner, scope, key).await?.receipt(key.clone(), false)
}

/// Reads the slot of a part.
pub(crate) async fn there(inner: &Inner, scope: &Scope, key: &TempKey) -> Result<Part> {
    let slot = inner.slots.get(&inner.keys.part(scope, &key.session, key.number)).await?;
    live(slot).filter(|part| part.data == key.token.as_str()).ok_or(Error::NotFound)
}

pub(crate) async fn final_object(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &FinalKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let (object, size) = data_of(inner, scope, key).await?;
    open_data(inner, scope, key, Source { object, size }, range).await
}

/// Opens a stream of a final object whose receipt has been read.
async fn open_data(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &FinalKey,
    source: Source,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let (start, end) = range.within(source.size)?;
    match open(inner, source, start..end).await {
        Err(Error::NotFound) => Err(data_of(inner, scope, key).await.err().unwrap_or_else(|| lost(&key.key))),
        opened => opened,
    }
}

/// Opens a final object: one request now, and one for each stream.
pub(crate) async fn open_final(inner: &Arc<Inner>, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>> {
    let receipt = stat(inner, scope, file).await?;
    Ok(Box::new(OpenFinal { inner: inner.clone(), scope: scope.clone(), receipt }))
}

/// An open final object. Its key names one write, so each stream has the content of that write.
struct OpenFinal {
    inner: Arc<Inner>,
    scope: Scope,
    receipt: FinalReceipt,
}

#[async_trait]
impl FinalReader for OpenFinal {
    fn receipt(&self) -> &FinalReceipt {
        &self.receipt
    }

    async fn stream(&self, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let FinalReceipt { key: FinalKey { bucket, key }, size, .. } = &self.receipt;
        let object = ObjectKey { bucket: bucket.clone(), key: key.clone() };
        open_data(&self.inner, &self.scope, &self.receipt.key, Source { object, size: *size }, range).await
    }
}

fn lost(what: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the data of {what} is missing, despite its receipt"))
}
