//! The data of a receipt that does not exist yet, and the content that becomes it.

use crate::keys::Place;
use crate::sending::Sending;
use crate::store::Inner;
use bytes::Bytes;
use portico_store::lane::{Batch, Gather, Hashes, Lane, Share};
use portico_store::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

/// Data without a receipt. Deleted when it is dropped, unless it is kept.
pub(crate) struct Data {
    inner: Arc<Inner>,
    pub(crate) place: Place,
    complete_since: Instant,
    keep: bool,
}

impl Data {
    /// Data of which there may be something from now on.
    pub(crate) fn new(inner: &Arc<Inner>, place: Place) -> Self {
        Data { inner: inner.clone(), place, complete_since: Instant::now(), keep: false }
    }

    /// Says that it is complete only now.
    pub(crate) fn complete(&mut self) {
        self.complete_since = Instant::now();
    }

    /// Leaves it: it has a receipt, or may have one.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }

    /// Leaves it if its receipt may have been made although that failed. If it was not, a sweep finds the data.
    pub(crate) fn in_doubt(self, error: &Error) {
        if !matches!(error, Error::Denied(_) | Error::NoSpace) {
            self.keep();
        }
    }

    /// Whether its receipt may still be made. A sweep that finds data without a receipt marks it, and removes it a grace
    /// time later if it still has none. A receipt that comes within half of that time is in time; a later one only if
    /// there is no mark yet.
    pub(crate) async fn check_in_time(&self) -> Result<()> {
        if self.complete_since.elapsed() <= self.inner.options.grace / 2 {
            return Ok(());
        }
        match self.inner.client.head(&self.inner.keys.mark(&self.place)).await? {
            None => Ok(()),
            Some(_) => Err(Error::unavailable(format!("{} took too long, and is being swept", self.place))),
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let (inner, place) = (self.inner.clone(), self.place.clone());
        self.inner.background.spawn(async move {
            if let Err(error) = inner.client.delete(std::slice::from_ref(&place)).await {
                tracing::warn!(%place, %error, "data is left behind; a sweep removes it");
            }
        });
    }
}

/// Content that arrives: hashed, and sent if it is not only compared with what is there.
pub(crate) struct Body {
    gather: Gather,
    hashing: Lane<Hashes>,
    sending: Option<Sending>,
    share: Share,
}

impl Body {
    pub(crate) fn new(inner: &Inner, hashes: Hashes, sending: Option<Sending>) -> Self {
        Body { gather: Gather::default(), hashing: Lane::new(hashes), sending, share: inner.puts.share() }
    }

    pub(crate) async fn evicted(&self) {
        match &self.sending {
            Some(sending) => sending.evicted().await,
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
        if let Some(sending) = &mut self.sending {
            for frame in &frames {
                sending.add(frame.clone()).await?;
            }
        }
        self.hashing.push(Batch::new(frames, None)).await
    }

    /// Waits until all of it is hashed and there.
    pub(crate) async fn finish(mut self) -> Result<(Hashes, Option<Data>)> {
        if let Some(frames) = self.gather.take() {
            self.push(frames).await?;
        }
        let hashes = self.hashing.finish();
        match self.sending {
            None => Ok((hashes.await?, None)),
            Some(sending) => {
                let (hashes, data) = tokio::try_join!(hashes, sending.finish())?;
                Ok((hashes, Some(data)))
            }
        }
    }
}
