//! Puts parts, or compares them with existing ones.

use crate::content::budget;
use crate::content::data::PendingData;
use crate::content::ingest::{Finished, Ingest, Spot};
use crate::content::reading;
use crate::content::sink::ObjectSink;
use crate::digest::{catch_up, chain};
use crate::operations::delete;
use crate::registry::Running;
use crate::shared::Inner;
use crate::slots::found::{Found, look};
use crate::slots::receipt::{Part, SlotContent, StoredChain};
use crate::slots::slot::{State, Taken, live};
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::lane::Hashes;
use portico_store::{
    Argument, Blake3, Digest, Error, Expected, FileId, IfExists, PartOptions, PartReceipt, Result, Scope, SessionId,
    Sha256, TempKey, Token, Writer, limits,
};
use std::sync::Arc;

struct PartWriter {
    inner: Arc<Inner>,
    scope: Scope,
    key: TempKey,
    options: PartOptions,
    ingest: Ingest,
    running: Running,
    /// The chain of the content, where it is known beforehand.
    chain: Option<StoredChain>,
}

/// Begins a part. `chain` is the chain of its content, if it is known: the content is not hashed then.
pub(crate) async fn begin(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    options: PartOptions,
    chain: Option<StoredChain>,
) -> Result<Box<dyn Writer<PartReceipt>>> {
    let running = inner.registry.register(scope, session, options.keep_prefix);
    let key = TempKey { session: session.clone(), number, token: Token::random()? };
    let object = inner.keys.part(scope, session, number);
    let seat = inner.board.seat(scope, session);
    let before = async {
        match options.offset {
            Some(offset) if chain.is_none() => {
                let previous = options.previous.as_ref().filter(|previous| previous.session == *session);
                let previous = previous.map_or(number.checked_sub(1), |previous| Some(previous.number));
                chain::before(inner, &seat, scope, session, previous, offset).await
            }
            _ => Ok(None),
        }
    };
    let goes_on = goes_on(inner, scope, options.unless_final.as_ref());
    let ((), there, before) = tokio::try_join!(goes_on, async { Ok(inner.slots.get(&object).await?) }, before)?;
    let there = live(there);
    if let Some(there) = &there {
        let other_size = options.expected.size.is_some_and(|size| size != there.size);
        if options.if_exists == IfExists::Fail || other_size {
            return Err(Error::Conflict);
        }
    }
    let sink = match &there {
        Some(_) => None,
        None => {
            let object = inner.keys.temp_data(scope, &key);
            // Content that may end early has no size that S3 could be told.
            let size = options.expected.size.filter(|_| !options.keep_prefix);
            Some(ObjectSink::new(inner, object, size, None)?)
        }
    };
    let spot = options.offset.filter(|_| sink.is_some() && chain.is_none()).map(|offset| Spot { seat, offset, before });
    let hashes =
        Hashes { blake3: Some(Blake3::new()), sha256: options.needs_sha256().then(Sha256::new), ..Hashes::default() };
    let ingest = Ingest::new(inner, hashes, sink, spot);
    let (inner, scope) = (inner.clone(), scope.clone());
    Ok(Box::new(PartWriter { inner, scope, key, options, ingest, running, chain }))
}

/// Refuses a part whose file id has ended.
async fn goes_on(inner: &Inner, scope: &Scope, unless: Option<&FileId>) -> Result<()> {
    match unless {
        Some(file) if !matches!(look(inner, scope, file).await?, Found::Nothing) => Err(Error::Ended),
        _ => Ok(()),
    }
}

#[async_trait]
impl Writer<PartReceipt> for PartWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.running.check()?;
        tokio::select! {
            biased;
            () = self.running.interrupted() => Err(Error::Interrupted { received: 0 }),
            added = self.ingest.add(chunk) => added,
        }
    }

    async fn interrupted(&self) -> Error {
        tokio::select! {
            () = self.running.interrupted() => Error::Interrupted { received: 0 },
            () = self.running.asked() => Error::Interrupted { received: 0 },
            () = self.ingest.evicted() => budget::evicted(),
        }
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<PartReceipt> {
        let PartWriter { inner, scope, key, options, ingest, running, chain: known } = *self;
        running.check()?;
        let Finished { hashes, data, chain, seat } = tokio::select! {
            biased;
            () = running.interrupted() => return Err(Error::Interrupted { received: 0 }),
            finished = ingest.finish(expected.sha256) => finished?,
        };
        let mut sha256 = hashes.sha256.map(Sha256::finish);
        if let (None, Some(_), Some(data)) = (sha256, expected.sha256, &data) {
            // No digest was expected when the part began, so none was computed on the way.
            sha256 = Some(reading::digest(&inner, &data.object, hashes.size).await?);
        }
        if sha256.is_some() && expected.sha256.is_some_and(|wanted| sha256 != Some(wanted)) {
            return Err(Error::DigestMismatch);
        }
        let ends = options.offset.unwrap_or(0).saturating_add(hashes.size);
        if data.is_some() && ends > limits::SIZE_MAX {
            return Err(Error::InvalidArgument(Argument::Offset));
        }
        let Some(blake3) = hashes.blake3.map(|blake3| blake3.finish()) else {
            return Err(Error::internal("a part without an identity"));
        };
        let part = Part {
            data: key.token.to_string(),
            size: hashes.size,
            blake3: blake3.to_hex(),
            sha256: sha256.as_ref().map(Digest::to_hex),
            offset: options.offset,
            chain: chain.or(known),
        };
        inner
            .detached(|inner| async move {
                running.commit()?;
                let committed = commit(&inner, &scope, key, part, data, options.if_exists, expected.sha256).await;
                drop((running, seat));
                let receipt = committed?;
                if let Some(file) = &options.unless_final {
                    not_too_late(&inner, &scope, file, &receipt).await?;
                }
                Ok(receipt)
            })
            .await
    }
}

/// Refuses a part whose file id has ended meanwhile, and removes the part, unless it is in the object.
async fn not_too_late(inner: &Arc<Inner>, scope: &Scope, file: &FileId, part: &PartReceipt) -> Result<()> {
    let end = look(inner, scope, file).await?;
    if matches!(end, Found::Nothing) {
        return Ok(());
    }
    // An existing part belongs to another put.
    let has_gone = !part.replayed && !delete::part(inner, scope, &part.key).await?;
    if has_gone && matches!(end, Found::Live(..)) { Ok(()) } else { Err(Error::Ended) }
}

/// Creates the receipt, or compares with an existing part.
async fn commit(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: TempKey,
    part: Part,
    data: Option<PendingData>,
    if_exists: IfExists,
    expected: Option<Digest>,
) -> Result<PartReceipt> {
    let object = inner.keys.part(scope, &key.session, key.number);
    let there = match data {
        Some(data) => {
            data.check_in_time().await?;
            let state = State::Live(SlotContent::Part(part.clone()), Bytes::new());
            match inner.slots.take(&object, &state).await {
                Ok(Taken::Done(slot)) => {
                    data.keep_with(&object, &slot).await?;
                    inner.cache.put(&object, &slot);
                    catch_up::schedule(inner, scope, &key, &part);
                    return part.receipt(key, false);
                }
                Ok(Taken::Other(there)) => Some(there),
                Err(error) => {
                    data.in_doubt(&error);
                    return Err(error);
                }
            }
        }
        None => inner.slots.get(&object).await?,
    };
    let gone = || Error::unavailable("the existing part was deleted during the comparison");
    let there = live(there).ok_or_else(gone)?;
    if if_exists == IfExists::Fail || (there.size, &there.blake3) != (part.size, &part.blake3) {
        return Err(Error::Conflict);
    }
    let key = TempKey { token: there.token()?, ..key };
    let mut receipt = there.receipt(key, true)?;
    receipt.sha256 = receipt.sha256.or(part.sha256.as_deref().and_then(Digest::from_hex));
    if expected.is_some() && receipt.sha256.is_none() {
        let stored = inner.keys.temp_data(scope, &receipt.key);
        let digest = reading::digest(inner, &stored, receipt.size).await;
        let digest = digest.map_err(|error| if matches!(error, Error::NotFound) { gone() } else { error })?;
        receipt.sha256 = Some(digest);
    }
    if expected.is_some() && receipt.sha256 != expected { Err(Error::DigestMismatch) } else { Ok(receipt) }
}
