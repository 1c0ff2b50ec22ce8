//! Streams of bytes: the source of a put, and the result of a read.

use crate::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;

/// Bytes that arrive one chunk at a time.
///
/// A failure is final: after it, and after the end, `next` is not called again. A source that was cut off before its
/// end must fail and never end cleanly.
#[async_trait]
pub trait ByteStream: Send {
    /// The next chunk, which is not empty; `None` at the end. Dropping the future loses no bytes: the next call
    /// continues.
    ///
    /// # Errors
    /// For a source of a put, any error means that the content is incomplete; the put returns [`Error::Interrupted`]
    /// then.
    async fn next(&mut self) -> Result<Option<Bytes>>;
}

#[async_trait]
impl<S: ByteStream + ?Sized> ByteStream for Box<S> {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        (**self).next().await
    }
}

/// The stream of one piece of memory.
pub fn from_bytes(content: impl Into<Bytes>) -> impl ByteStream {
    Memory(Some(content.into()))
}

struct Memory(Option<Bytes>);

#[async_trait]
impl ByteStream for Memory {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        Ok(self.0.take().filter(|bytes| !bytes.is_empty()))
    }
}

/// Reads a stream to its end into memory.
///
/// # Errors
/// Those of the stream, and [`Error::TooLarge`] beyond `limit` bytes.
pub async fn collect(stream: &mut dyn ByteStream, limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(chunk) = stream.next().await? {
        if chunk.len() > limit - content.len() {
            return Err(Error::TooLarge { limit: limit as u64 });
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}
