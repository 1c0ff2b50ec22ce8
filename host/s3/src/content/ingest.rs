//! Content that arrives: hashed and sent side by side.

use crate::content::data::PendingData;
use crate::content::sink::{Gathered, ObjectSink};
use crate::digest::board::Seat;
use crate::shared::Inner;
use crate::slots::receipt::StoredChain;
use bytes::Bytes;
use portico_store::lane::{Batch, Gather, Hashes, Lane, Share};
use portico_store::{Digest, Result, Sha256, limits};
use std::pin::pin;
use tokio::sync::oneshot;

/// Where content of a part belongs in the whole.
pub(crate) struct Spot {
    pub(crate) seat: Seat,
    pub(crate) offset: u64,
    /// The digest of what is before it, if that is known when it begins.
    pub(crate) before: Option<Sha256>,
}

/// Content that arrives: hashed, and sent if it is not only compared with what is there.
pub(crate) struct Ingest {
    gather: Gather,
    hashing: Lane<Hashes>,
    sink: Option<ObjectSink>,
    spot: Option<Spot>,
    share: Share,
}

/// Content that is there.
pub(crate) struct Finished {
    pub(crate) hashes: Hashes,
    /// Absent where it was only compared.
    pub(crate) data: Option<PendingData>,
    pub(crate) chain: Option<StoredChain>,
    /// What was found stays to be seen for as long as this is there.
    pub(crate) seat: Option<Seat>,
}

impl Ingest {
    pub(crate) fn new(inner: &Inner, hashes: Hashes, sink: Option<ObjectSink>, spot: Option<Spot>) -> Self {
        let chain = spot.as_ref().and_then(|spot| spot.before.clone());
        let hashing = Lane::new(Hashes { chain, ..hashes }, limits::HASH_QUEUE);
        Ingest { gather: Gather::default(), hashing, sink, spot, share: inner.puts.share() }
    }

    pub(crate) async fn evicted(&self) {
        match &self.sink {
            Some(sink) => sink.evicted().await,
            None => std::future::pending().await,
        }
    }

    /// Takes a frame.
    pub(crate) async fn add(&mut self, frame: Bytes) -> Result<()> {
        match self.gather.add(frame, self.share.batch()) {
            Some(frames) => self.push(frames).await,
            None => Ok(()),
        }
    }

    async fn push(&mut self, frames: Vec<Bytes>) -> Result<()> {
        if let Some(sink) = &mut self.sink {
            for frame in &frames {
                sink.add(frame.clone()).await?;
            }
        }
        self.hashing.push(Batch::new(frames, None)).await
    }

    /// Waits until all of it is hashed and there. What is before it may become known as long as it is being sent. Content
    /// that turns out not to be what was expected is nothing that others go on from.
    pub(crate) async fn finish(mut self, expected: Option<Digest>) -> Result<Finished> {
        if let Some(frames) = self.gather.take() {
            self.push(frames).await?;
        }
        let Ingest { hashing, sink, spot, .. } = self;
        let Some(mut sink) = sink else {
            let hashes = hashing.finish().await?;
            return Ok(Finished { hashes, data: None, chain: None, seat: None });
        };
        let gathered = sink.gathered();
        let (good, is_good) = oneshot::channel();
        let hashed = async {
            let hashes = hashing.finish().await?;
            let sha256 = hashes.sha256.as_ref().map(Sha256::so_far);
            if expected.is_none_or(|expected| sha256.is_none_or(|sha256| sha256 == expected)) {
                if let (Some(spot), Some(after)) = (&spot, &hashes.chain) {
                    spot.seat.put(spot.offset.saturating_add(hashes.size), after);
                }
                // Nobody asks where the state before was known.
                let _ = good.send(());
            }
            Ok(hashes)
        };
        let sent = async { tokio::try_join!(hashed, sink.finish()) };
        let late = spot.as_ref().filter(|spot| spot.before.is_none()).zip(gathered);
        let late = async {
            match (late, is_good.await) {
                (Some((spot, gathered)), Ok(())) => (spot.seat.wait(spot.offset).await, spot, gathered),
                _ => std::future::pending().await,
            }
        };
        let (done, chain) = {
            let mut sent = pin!(sent);
            tokio::select! {
                biased;
                (before, spot, gathered) = late => tokio::join!(sent, hash_late(before, spot, gathered)),
                done = &mut sent => (done, None),
            }
        };
        let (hashes, data) = done?;
        let (before, seat) = spot.map(|spot| (spot.before, spot.seat)).unzip();
        let before = before.flatten().as_ref().map(Sha256::so_far);
        let chain = chain.or_else(|| StoredChain::made(before, hashes.chain.as_ref()));
        Ok(Finished { hashes, data: Some(data), chain, seat })
    }
}

/// Hashes content that is still in memory on from what is before it.
async fn hash_late(before: Sha256, spot: &Spot, gathered: Gathered) -> Option<StoredChain> {
    let ends = spot.offset.saturating_add(gathered.frames.len());
    let digest = before.so_far();
    let hash = move || {
        let mut sha256 = before;
        gathered.frames.iter().for_each(|frame| sha256.update(frame));
        sha256
    };
    let after = tokio::task::spawn_blocking(hash).await.ok()?;
    spot.seat.put(ends, &after);
    StoredChain::made(Some(digest), Some(&after))
}
