//! Support for the tests of the backend: content without repetition, and an independent look at a bucket.
#![allow(dead_code, reason = "each test program uses some of it")]

pub(crate) mod audit;
pub(crate) mod parts;

use bytes::Bytes;
use portico_s3::S3Store;
use portico_store::{Backend, ByteRange, Digest, Expected, FinalKey, FinalOptions, IfExists, Scope, Sha256, stream};
use portico_test_servers::Server;
use std::collections::VecDeque;

pub(crate) const MIB: usize = 1 << 20;

/// Returns bytes without repetition.
pub(crate) fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut sha256 = Sha256::new();
    sha256.update(bytes);
    sha256.finish()
}

/// Content in frames like those of a socket.
pub(crate) struct Framed(VecDeque<Bytes>);

impl Framed {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Framed(bytes.chunks(200_000).map(Bytes::copy_from_slice).collect())
    }
}

#[async_trait::async_trait]
impl stream::ByteStream for Framed {
    async fn next(&mut self) -> portico_store::Result<Option<Bytes>> {
        Ok(self.0.pop_front())
    }
}

/// A client that sends some bytes and then stalls for ever.
pub(crate) struct Stalled(pub(crate) Framed);

#[async_trait::async_trait]
impl stream::ByteStream for Stalled {
    async fn next(&mut self) -> portico_store::Result<Option<Bytes>> {
        match self.0.next().await? {
            Some(frame) => Ok(Some(frame)),
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn sized(size: Option<usize>) -> Expected {
    Expected { size: size.map(|size| size as u64), ..Expected::default() }
}

pub(crate) fn options(size: Option<usize>, if_exists: IfExists) -> FinalOptions {
    FinalOptions { expected: sized(size), if_exists, ..Default::default() }
}

/// Opens a store in its own bucket, with the smallest pieces.
pub(crate) async fn store(server: &Server) -> S3Store {
    let bucket = server.bucket().await;
    let mut options = server.options(&bucket);
    options.part_size = 5 * MIB;
    S3Store::open(options).await.expect("the store opens")
}

/// Reads a whole final object.
pub(crate) async fn read(store: &S3Store, scope: &Scope, key: &FinalKey) -> portico_store::Result<Vec<u8>> {
    let mut stream = store.read_final(scope, key, ByteRange::default()).await?;
    stream::collect(&mut *stream, 64 * MIB).await
}
