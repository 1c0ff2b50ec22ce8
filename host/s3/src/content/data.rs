//! The data of a receipt that does not exist yet.

use crate::keys::Place;
use crate::shared::Inner;
use crate::slots::slot::{Slot, State};
use portico_store::{Error, Result};
use std::sync::Arc;

/// Data without a receipt. Deleted when it is dropped, unless it is kept.
pub(crate) struct PendingData {
    inner: Arc<Inner>,
    pub(crate) place: Place,
    /// When it was complete, in milliseconds by the server's clock, which does not stand still with this machine.
    complete_ms: u64,
    keep: bool,
}

impl PendingData {
    /// Data of which there may be something from now on.
    pub(crate) fn new(inner: &Arc<Inner>, place: Place) -> Self {
        PendingData { inner: inner.clone(), place, complete_ms: inner.client.now_ms(), keep: false }
    }

    /// Says that it is complete only now.
    pub(crate) fn complete(&mut self) {
        self.complete_ms = self.inner.client.now_ms();
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

    /// Fails if its receipt comes too late. A sweep that finds data without a receipt marks it, and removes it a grace time
    /// later if it still has none. A receipt that comes within half of that time is in time; a later one only if there is
    /// no mark yet.
    pub(crate) async fn check_in_time(&self) -> Result<()> {
        if self.is_late() && self.is_swept().await? { Err(self.too_late()) } else { Ok(()) }
    }

    /// Leaves it: its receipt has been made, in `receipt` as `slot`. The answer to that was the server's latest word on the
    /// time. If this machine was suspended before, so that a sweep may have been faster, the receipt is taken back.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it was taken back.
    pub(crate) async fn keep_with(self, receipt: &Place, slot: &Slot) -> Result<()> {
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

    /// Whether a sweep has removed it, or may be about to. A mark goes after its data, so it is looked for first.
    async fn is_swept(&self) -> Result<bool> {
        let client = &self.inner.client;
        let is_marked = client.head(&self.inner.keys.mark(&self.place)).await?.is_some();
        Ok(is_marked || client.head(&self.place).await?.is_none())
    }

    fn too_late(&self) -> Error {
        Error::unavailable(format!("{} waited too long for its receipt, and is being swept", self.place))
    }
}

impl Drop for PendingData {
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

/// Removes data whose receipts are no more.
pub(crate) async fn remove_data(inner: &Inner, places: &[Place]) {
    if let Err(error) = inner.client.delete(places).await {
        tracing::warn!(%error, "data is left behind; a sweep removes it");
    }
}
