//! Content: generated from a size and a seed, sent by slow sources, and identified by its digest.

use async_trait::async_trait;
use bytes::Bytes;
use portico_store::stream::ByteStream;
use portico_store::{Digest, Error, Result, Sha256};

/// The identity of content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
}

impl Stamp {
    /// The stamp of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sha256 = Sha256::new();
        sha256.update(bytes);
        Stamp { size: bytes.len() as u64, sha256: sha256.finish() }
    }
}

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.size, &self.sha256.to_hex()[..6])
    }
}

/// Bytes with their stamp.
#[derive(Clone)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// Their stamp.
    pub stamp: Stamp,
}

impl Content {
    /// The content of a size and a seed. Different seeds give different content, unless it is empty.
    pub fn of(size: usize, seed: u64) -> Self {
        // Repeated, because generation is frequent; the period is a multiple of no length that matters.
        let mut block = vec![0; size.min(65_537)];
        fastrand::Rng::with_seed(seed ^ (size as u64) << 20).fill(&mut block);
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            bytes.extend_from_slice(&block[..block.len().min(size - bytes.len())]);
        }
        Content::from(Bytes::from(bytes))
    }

    /// The first bytes of the content.
    pub(crate) fn prefix(&self, len: u64) -> Self {
        let len = usize::try_from(len).map_or(self.bytes.len(), |len| len.min(self.bytes.len()));
        if len == self.bytes.len() { self.clone() } else { Content::from(self.bytes.slice(..len)) }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Content { stamp: Stamp::of(&bytes), bytes }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stamp.fmt(f)
    }
}

/// A source that sends content in pieces of any size and yields in between.
pub(crate) struct Source {
    rest: Bytes,
    /// The offset at which it fails instead of ending.
    fails: bool,
    rng: fastrand::Rng,
}

impl Source {
    /// Sends `content`, or its first `cut` bytes and then fails.
    pub(crate) fn new(content: &Content, cut: Option<usize>, rng: fastrand::Rng) -> Self {
        let rest = content.bytes.slice(..cut.unwrap_or(content.bytes.len()).min(content.bytes.len()));
        Source { rest, fails: cut.is_some(), rng }
    }
}

#[async_trait]
impl ByteStream for Source {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        for _ in 0..self.rng.u32(0..4) {
            tokio::task::yield_now().await;
        }
        if self.rest.is_empty() {
            return if self.fails { Err(Error::unavailable("the source was cut off")) } else { Ok(None) };
        }
        let most = [1, 1_000, 20_000, 700_000][self.rng.usize(..4)];
        let len = self.rng.usize(..most).max(self.rest.len() / 50 + 1).min(self.rest.len());
        Ok(Some(self.rest.split_to(len)))
    }
}

/// Reads a stream to its end and yields in between; returns its stamp, and its bytes.
pub(crate) async fn drain(stream: &mut dyn ByteStream, rng: &mut fastrand::Rng) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        bytes.extend_from_slice(&chunk);
        for _ in 0..rng.u32(0..4) {
            tokio::task::yield_now().await;
        }
    }
    Ok(bytes)
}

/// Makes the value of a record: its first 16 bytes name its writer and its length, and the rest follows from them.
pub(crate) fn made_value(writer: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    fastrand::Rng::with_seed(writer).fill(&mut value);
    value[..8].copy_from_slice(&writer.to_le_bytes());
    value[8..16].copy_from_slice(&(len as u64).to_le_bytes());
    value
}

/// Who wrote a value, if it is one whole.
pub(crate) fn writer_of(found: &[u8]) -> Option<u64> {
    let writer = u64::from_le_bytes(found.get(..8)?.try_into().ok()?);
    (found.len() >= 16 && made_value(writer, found.len()) == found).then_some(writer)
}
