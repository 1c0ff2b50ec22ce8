//! Content that arrives, hashed and sent side by side. Invariant: no chain comes from content that was refused.

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

/// The position of a part's content in the whole object.
pub(crate) struct Spot {
    pub(crate) seat: Seat,
    pub(crate) offset: u64,
    /// The hash state of the preceding content, if known when the put begins.
    pub(crate) before: Option<Sha256>,
}

/// Incoming content. It is hashed, and sent unless it is only compared with an existing part.
pub(crate) struct Ingest {
    gather: Gather,
    hashing: Lane<Hashes>,
    sink: Option<ObjectSink>,
    spot: Option<Spot>,
    share: Share,
}

/// Content that was hashed and stored.
pub(crate) struct Finished {
    pub(crate) hashes: Hashes,
    /// Absent if the content was only compared.
    pub(crate) data: Option<PendingData>,
    pub(crate) chain: Option<StoredChain>,
    /// Keeps the published hash states of this put alive.
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

    /// Adds a frame; waits while the sink has no room.
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

    /// Waits until all content is hashed and stored.
    ///
    /// The hash state of the preceding content may become known while this content is being sent. Content that does not
    /// match `expected` publishes no hash state.
    pub(crate) async fn finish(mut self, expected: Option<Digest>) -> Result<Finished> {
        if let Some(sink) = &mut self.sink {
            sink.end_content();
        }
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
                // Nobody receives this where the preceding state was known.
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

/// Hashes content that is still in memory, from the state of the preceding content on.
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
