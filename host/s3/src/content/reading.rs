//! Reads content through a stream over one or several requests. Invariant: a stream ends only where the content does.

use crate::keys::ObjectKey;
use crate::request::failure::{Failure, Kind};
use crate::shared::Inner;
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream as Answer;
use bytes::Bytes;
use portico_store::stream::ByteStream;
use portico_store::{Blake3, Digest, Error, Result, Sha256};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Opens a stream of data that has a receipt. Waits for the first response, so that the stream reaches its end even if
/// the data is deleted meanwhile.
pub(crate) async fn open(inner: &Arc<Inner>, source: Source, range: Range<u64>) -> Result<Box<dyn ByteStream>> {
    let mut reading = Reading::new(inner, source, range);
    reading.request().await.map_err(gone)?;
    Ok(Box::new(reading))
}

/// Reports missing data as a missing receipt, because both disappear together.
fn gone(failure: Failure) -> Error {
    if failure.kind == Kind::Missing { Error::NotFound } else { failure.into() }
}

/// Returns the SHA-256 of data.
///
/// # Errors
/// [`Error::NotFound`] if the data is missing.
pub(crate) async fn digest(inner: &Arc<Inner>, object: &ObjectKey, size: u64) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    let source = Source { object: object.clone(), size };
    hash(inner, &source, 0..size, &mut sha256).await?;
    Ok(sha256.finish())
}

/// Returns the BLAKE3 of data.
///
/// # Errors
/// [`Error::NotFound`] if the data is missing.
pub(crate) async fn blake3(inner: &Arc<Inner>, object: &ObjectKey, size: u64) -> Result<Digest> {
    let source = Source { object: object.clone(), size };
    let (mut blake3, mut reading) = (Blake3::new(), open(inner, source, 0..size).await?);
    while let Some(chunk) = reading.next().await? {
        blake3.update(&chunk);
    }
    Ok(blake3.finish())
}

/// Continues a SHA-256 over a range of data.
///
/// # Errors
/// [`Error::NotFound`] if the data is missing.
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
    pub(crate) object: ObjectKey,
    /// In bytes.
    pub(crate) size: u64,
}

/// A download of a range of an object.
pub(crate) struct Reading {
    inner: Arc<Inner>,
    source: Source,
    /// The remaining range.
    range: Range<u64>,
    answer: Option<Answer>,
    /// Bytes before the range that a server sends if it ignores ranges.
    skip: u64,
    /// Failures since the latest bytes.
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
            let Source { object, size } = &self.source;
            let content = self.inner.client.get_range(object, &self.range, *size).await?;
            let Some(skip) = self.range.start.checked_sub(content.start) else {
                let what = format!(
                    "{object} was requested from byte {}, and the response starts at {}",
                    self.range.start, content.start
                );
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
                // Only after some bytes: a deleted object cannot be requested again.
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
                Some(Err(cause)) => Failure::new(Kind::Transient, format!("reading {}: {cause}", self.source.object)),
                None => Failure::new(Kind::Transient, format!("{} ended too early", self.source.object)),
            };
            self.answer = None;
            self.attempts += 1;
            let Some(pause) = self.inner.client.pause(&failure, self.attempts, self.moved) else {
                return Err(failure.into());
            };
            tracing::debug!(error = %failure, at = self.range.start, "continuing a download from the store with another request");
            tokio::time::sleep(pause).await;
        }
    }
}
