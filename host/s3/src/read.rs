//! Reading: a stream over one or several requests, which ends only where the content does.

use crate::failure::{Failure, Kind};
use crate::keys::Place;
use crate::put_final::{data_of, stat};
use crate::put_part::live;
use crate::receipt::Part;
use crate::store::Inner;
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream as Answer;
use bytes::Bytes;
use portico_store::stream::ByteStream;
use portico_store::{
    Blake3, ByteRange, Digest, Error, FileId, FinalKey, FinalReader, FinalReceipt, PartReceipt, Result, Scope, Sha256,
    TempKey,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn part(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let size = there(inner, scope, key).await?.size;
    let (start, end) = range.within(size)?;
    let source = Source { place: inner.keys.temp_data(scope, key), size };
    match open(inner, source, start..end).await {
        // It went with its receipt since that was read; or it is lost.
        Err(Error::NotFound) => Err(there(inner, scope, key).await.err().unwrap_or_else(|| lost(&key))),
        opened => opened,
    }
}

/// Returns the receipt of a part.
pub(crate) async fn stat_part(inner: &Inner, scope: &Scope, key: &TempKey) -> Result<PartReceipt> {
    there(inner, scope, key).await?.receipt(key.clone(), false)
}

/// Reads the slot of a part.
async fn there(inner: &Inner, scope: &Scope, key: &TempKey) -> Result<Part> {
    let slot = inner.slots.get(&inner.keys.part(scope, &key.session, key.number)).await?;
    live(slot).filter(|part| part.data == key.token.as_str()).ok_or(Error::NotFound)
}

pub(crate) async fn final_object(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &FinalKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let (place, size) = data_of(inner, scope, key).await?;
    open_data(inner, scope, key, Source { place, size }, range).await
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

/// An open final object. Its key names one write, so each stream is of that write's content.
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
        let place = Place { bucket: bucket.clone(), key: key.clone() };
        open_data(&self.inner, &self.scope, &self.receipt.key, Source { place, size: *size }, range).await
    }
}

fn lost(what: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("{what} has a receipt, and its data is not there"))
}

/// Opens a stream of data that has a receipt. Its first request is answered before this is, so that the stream goes on to
/// its end even if the data is deleted then.
async fn open(inner: &Arc<Inner>, source: Source, range: Range<u64>) -> Result<Box<dyn ByteStream>> {
    let mut reading = Reading::new(inner, source, range);
    reading.request().await.map_err(gone)?;
    Ok(Box::new(reading))
}

/// Data that went with its receipt since that was read.
fn gone(failure: Failure) -> Error {
    if failure.kind == Kind::Missing { Error::NotFound } else { failure.into() }
}

/// The SHA-256 of data.
///
/// # Errors
/// [`Error::NotFound`] if it is not there.
pub(crate) async fn digest(inner: &Arc<Inner>, place: &Place, size: u64) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    let source = Source { place: place.clone(), size };
    hash(inner, &source, 0..size, &mut sha256).await?;
    Ok(sha256.finish())
}

/// The BLAKE3 of data.
///
/// # Errors
/// [`Error::NotFound`] if it is not there.
pub(crate) async fn blake3(inner: &Arc<Inner>, place: &Place, size: u64) -> Result<Digest> {
    let source = Source { place: place.clone(), size };
    let (mut blake3, mut reading) = (Blake3::new(), open(inner, source, 0..size).await?);
    while let Some(chunk) = reading.next().await? {
        blake3.update(&chunk);
    }
    Ok(blake3.finish())
}

/// Goes on with a SHA-256 over a range of data.
///
/// # Errors
/// [`Error::NotFound`] if it is not there.
pub(crate) async fn hash(inner: &Arc<Inner>, source: &Source, range: Range<u64>, sha256: &mut Sha256) -> Result<()> {
    let mut reading = open(inner, source.clone(), range).await?;
    while let Some(chunk) = reading.next().await? {
        sha256.update(&chunk);
    }
    Ok(())
}

/// An object whose size is known from a receipt.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) place: Place,
    /// In bytes.
    pub(crate) size: u64,
}

/// Content of an object on its way here.
pub(crate) struct Reading {
    inner: Arc<Inner>,
    source: Source,
    /// What is still to come.
    range: Range<u64>,
    answer: Option<Answer>,
    /// Bytes before the range, which a server that ignores ranges sends too.
    skip: u64,
    /// Failures since bytes have come.
    attempts: u32,
    moved: Instant,
}

impl Reading {
    pub(crate) fn new(inner: &Arc<Inner>, source: Source, range: Range<u64>) -> Self {
        let inner = inner.clone();
        Reading { inner, source, range, answer: None, skip: 0, attempts: 0, moved: Instant::now() }
    }

    async fn request(&mut self) -> Result<(), Failure> {
        if !self.range.is_empty() {
            let Source { place, size } = &self.source;
            let content = self.inner.client.get_range(place, &self.range, *size).await?;
            let Some(skip) = self.range.start.checked_sub(content.start) else {
                let what = format!("{place} was asked for from {}, and came from {}", self.range.start, content.start);
                return Err(Failure::new(Kind::Other, what));
            };
            self.skip = skip;
            self.answer = Some(content.stream);
        }
        Ok(())
    }
}

#[async_trait]
impl ByteStream for Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.range.is_empty() {
                return Ok(None);
            }
            let Some(answer) = &mut self.answer else {
                // Only after some bytes: a deleted object can't be asked for again.
                self.request().await?;
                continue;
            };
            let failure = match answer.next().await {
                Some(Ok(mut chunk)) => {
                    let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
                    self.skip -= skip as u64;
                    let _ = chunk.split_to(skip);
                    let rest = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
                    chunk.truncate(rest);
                    if chunk.is_empty() {
                        continue;
                    }
                    self.range.start += chunk.len() as u64;
                    (self.attempts, self.moved) = (0, Instant::now());
                    return Ok(Some(chunk));
                }
                Some(Err(cause)) => Failure::new(Kind::Transient, format!("reading {}: {cause}", self.source.place)),
                None => Failure::new(Kind::Transient, format!("{} ended before its end", self.source.place)),
            };
            self.answer = None;
            self.attempts += 1;
            let Some(pause) = self.inner.client.pause(&failure, self.attempts, self.moved) else {
                return Err(failure.into());
            };
            tracing::debug!(error = %failure, at = self.range.start, "a download from the store goes on with another request");
            tokio::time::sleep(pause).await;
        }
    }
}
