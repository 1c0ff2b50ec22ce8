//! Data whose receipt does not exist yet. Invariant: data that gets no receipt is deleted, at once or by a sweep.

use crate::keys::ObjectKey;
use crate::shared::Inner;
use crate::slots::slot::{Slot, State};
use portico_store::{Error, Result};
use std::sync::Arc;

/// Data without a receipt. Dropping it deletes the data, unless `keep` was called.
pub(crate) struct PendingData {
    inner: Arc<Inner>,
    pub(crate) object: ObjectKey,
    /// Time of completion, in milliseconds by the server's clock, which continues while this machine is suspended.
    complete_ms: u64,
    keep: bool,
}

impl PendingData {
    /// Registers data that may exist from now on.
    pub(crate) fn new(inner: &Arc<Inner>, object: ObjectKey) -> Self {
        PendingData { inner: inner.clone(), object, complete_ms: inner.client.now_ms(), keep: false }
    }

    /// Sets the time of completion to now.
    pub(crate) fn complete(&mut self) {
        self.complete_ms = self.inner.client.now_ms();
    }

    /// Keeps the data: its receipt exists, or may exist.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }

    /// Keeps the data if its receipt may exist despite `error`. If the receipt does not exist, a sweep finds the data.
    pub(crate) fn in_doubt(self, error: &Error) {
        if !matches!(error, Error::Denied(_) | Error::NoSpace) {
            self.keep();
        }
    }

    /// Fails if the receipt would come too late.
    ///
    /// A sweep marks data without a receipt, and removes the data a grace time later if there is still no receipt. A
    /// receipt within half of that time is in time. A later receipt is accepted only if there is no mark yet.
    pub(crate) async fn check_in_time(&self) -> Result<()> {
        if self.is_late() && self.is_swept().await? { Err(self.too_late()) } else { Ok(()) }
    }

    /// Keeps the data, whose receipt is now in `receipt` as `slot`. The response to that write was the server's latest
    /// word on the time. If this machine was suspended before, a sweep may have been faster, and the receipt is
    /// withdrawn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the receipt was withdrawn.
    pub(crate) async fn keep_with(self, receipt: &ObjectKey, slot: &Slot) -> Result<()> {
        if !self.is_late() || matches!(self.is_swept().await, Ok(false)) {
            self.keep();
            return Ok(());
        }
        let error = self.too_late();
        let ended = self.inner.slots.end(vec![(receipt.clone(), slot.clone())], State::Free).await;
        if ended.is_err() {
            self.keep();
        }
        Err(error)
    }

    fn is_late(&self) -> bool {
        self.inner.client.age(self.complete_ms) > self.inner.options.grace / 2
    }

    /// Returns whether a sweep has removed the data, or may be about to. The mark is looked up first, because a sweep
    /// removes the mark after the data.
    async fn is_swept(&self) -> Result<bool> {
        let client = &self.inner.client;
        let is_marked = client.head(&self.inner.keys.mark(&self.object)).await?.is_some();
        Ok(is_marked || client.head(&self.object).await?.is_none())
    }

    fn too_late(&self) -> Error {
        Error::unavailable(format!("the receipt of {} came too late, and a sweep is removing the data", self.object))
    }
}

impl Drop for PendingData {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let (inner, object) = (self.inner.clone(), self.object.clone());
        self.inner.spawn(async move {
            if let Err(error) = inner.client.delete(std::slice::from_ref(&object)).await {
                tracing::warn!(%object, %error, "cannot remove data; a sweep removes it later");
            }
        });
    }
}

/// Removes data whose receipts are gone. Best effort: a sweep removes the rest.
pub(crate) async fn remove_data(inner: &Inner, objects: &[ObjectKey]) {
    if let Err(error) = inner.client.delete(objects).await {
        tracing::warn!(%error, "cannot remove data; a sweep removes it later");
    }
}
