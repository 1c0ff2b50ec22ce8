//! Puts, publishes and looks up final objects.

use crate::content::budget;
use crate::content::data::PendingData;
use crate::content::ingest::{Finished, Ingest};
use crate::content::sink::{Length, ObjectSink};
use crate::shared::Inner;
use crate::slots::found::{Found, found, look};
use crate::slots::receipt::{Final, SlotContent};
use crate::slots::slot::{State, Taken};
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::lane::Hashes;
use portico_store::{
    Digest, Error, Expected, FileId, FinalKey, FinalOptions, FinalReceipt, IfExists, Result, Scope, Sha256, Token,
    Writer,
};
use std::sync::Arc;

struct FinalWriter {
    inner: Arc<Inner>,
    scope: Scope,
    file: FileId,
    token: Token,
    options: FinalOptions,
    ingest: Ingest,
}

pub(crate) async fn begin(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    options: FinalOptions,
) -> Result<Box<dyn Writer<FinalReceipt>>> {
    let token = Token::random()?;
    let sink = match (look(inner, scope, file).await?, options.if_exists) {
        (Found::Gone(reason), _) => return Err(Error::Gone(reason)),
        (Found::Live(..), IfExists::Fail) => return Err(Error::Conflict),
        (Found::Live(there, _), IfExists::SameContentOk) => {
            if options.expected.size.is_some_and(|size| size != there.size) {
                return Err(Error::Conflict);
            }
            None
        }
        (Found::Nothing, _) => {
            let object = inner.keys.final_data(scope, file, &token);
            let content_type = options.content_type.as_deref();
            let length = options.expected.size.map_or(Length::Unknown, Length::Exact);
            Some(ObjectSink::new(inner, object, length, content_type)?)
        }
    };
    let hashes = Hashes { sha256: Some(Sha256::new()), ..Hashes::default() };
    let ingest = Ingest::new(inner, hashes, sink, None);
    let (inner, scope, file) = (inner.clone(), scope.clone(), file.clone());
    Ok(Box::new(FinalWriter { inner, scope, file, token, options, ingest }))
}

#[async_trait]
impl Writer<FinalReceipt> for FinalWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.ingest.add(chunk).await
    }

    async fn interrupted(&self) -> Error {
        self.ingest.evicted().await;
        budget::evicted()
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<FinalReceipt> {
        let FinalWriter { inner, scope, file, token, options, ingest } = *self;
        let Finished { hashes, data, .. } = ingest.finish(expected.sha256).await?;
        let sha256 = hashes.sha256.ok_or_else(|| Error::internal("no digest"))?.finish();
        if expected.sha256.is_some_and(|expected| expected != sha256) {
            return Err(Error::DigestMismatch);
        }
        let if_exists = options.if_exists;
        let receipt = receipt(&inner, &token, hashes.size, sha256, options);
        inner
            .detached(|inner| async move {
                match data {
                    Some(data) => publish(&inner, &scope, &file, receipt, data, if_exists).await,
                    None => match look(&inner, &scope, &file).await? {
                        Found::Nothing => Err(Error::internal("a final object lost its receipt")),
                        Found::Gone(reason) => Err(Error::Gone(reason)),
                        Found::Live(there, _) => compare_existing(&inner, &scope, &file, &there, &receipt, if_exists),
                    },
                }
            })
            .await
    }
}

/// Creates the receipt of an object that is published now.
pub(crate) fn receipt(inner: &Inner, token: &Token, size: u64, sha256: Digest, options: FinalOptions) -> Final {
    Final {
        data: token.to_string(),
        size,
        sha256: sha256.to_hex(),
        content_type: options.content_type,
        metadata: options.metadata,
        created_at: inner.client.now_ms(),
    }
}

/// Publishes data, unless its file id is taken.
pub(crate) async fn publish(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    receipt: Final,
    data: PendingData,
    if_exists: IfExists,
) -> Result<FinalReceipt> {
    data.check_in_time().await?;
    let object = inner.keys.receipt(scope, file);
    match inner.slots.take(&object, &State::Live(SlotContent::Final(receipt.clone()), Bytes::new())).await {
        Ok(Taken::Done(slot)) => {
            data.keep_with(&object, &slot).await?;
            answer(inner, scope, file, &receipt, false)
        }
        Ok(Taken::Other(there)) => match found(Some(there))? {
            Found::Live(there, _) => compare_existing(inner, scope, file, &there, &receipt, if_exists),
            Found::Gone(reason) => Err(Error::Gone(reason)),
            Found::Nothing => Err(Error::internal("a taken slot is free")),
        },
        Err(error) => {
            // The receipt may exist. If it does not, a sweep finds the data.
            data.keep();
            Err(error)
        }
    }
}

/// Compares an object with the one that has its file id already.
pub(crate) fn compare_existing(
    inner: &Inner,
    scope: &Scope,
    file: &FileId,
    there: &Final,
    ours: &Final,
    if_exists: IfExists,
) -> Result<FinalReceipt> {
    if if_exists == IfExists::SameContentOk && (there.size, &there.sha256) == (ours.size, &ours.sha256) {
        answer(inner, scope, file, there, true)
    } else {
        Err(Error::Conflict)
    }
}

pub(crate) fn answer(
    inner: &Inner,
    scope: &Scope,
    file: &FileId,
    there: &Final,
    replayed: bool,
) -> Result<FinalReceipt> {
    let object = inner.keys.final_data(scope, file, &there.token()?);
    there.receipt(file.clone(), FinalKey { bucket: object.bucket, key: object.key }, replayed)
}

pub(crate) async fn stat(inner: &Inner, scope: &Scope, file: &FileId) -> Result<FinalReceipt> {
    match look(inner, scope, file).await? {
        Found::Nothing => Err(Error::NotFound),
        Found::Gone(reason) => Err(Error::Gone(reason)),
        Found::Live(there, _) => answer(inner, scope, file, &there, false),
    }
}

/// Returns the data of an object, for a reader that names its key.
pub(crate) async fn data_of(inner: &Inner, scope: &Scope, key: &FinalKey) -> Result<(crate::keys::ObjectKey, u64)> {
    let Some((file, token)) = inner.keys.parse_final(scope, key) else { return Err(Error::NotFound) };
    match look(inner, scope, &file).await? {
        Found::Live(there, _) if there.data == token.as_str() => {
            Ok((inner.keys.final_data(scope, &file, &token), there.size))
        }
        Found::Gone(reason) => Err(Error::Gone(reason)),
        _ => Err(Error::NotFound),
    }
}
