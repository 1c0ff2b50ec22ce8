//! A multipart upload in flight. Invariant: an upload that is not completed is aborted.

use crate::keys::ObjectKey;
use crate::request::failure::Failure;
use crate::request::multipart::{Piece, Unfinished};
use crate::shared::Inner;
use portico_store::Result;
use std::sync::Arc;

/// A multipart upload. Dropping it aborts the upload, unless the server confirmed its completion.
pub(crate) struct MultipartUpload {
    inner: Arc<Inner>,
    object: ObjectKey,
    pub(crate) id: String,
    /// Whether its pieces have checksums. If so, no piece can be passed straight on, because a checksum is needed when
    /// its request begins.
    pub(crate) with_checksums: bool,
    /// Whether an unanswered attempt to create the upload may have created another one.
    may_have_twin: bool,
    /// Whether the server keeps nothing of the upload any more.
    is_gone: bool,
}

impl MultipartUpload {
    pub(crate) async fn create(
        inner: &Arc<Inner>,
        object: &ObjectKey,
        content_type: Option<&str>,
        with_checksums: bool,
    ) -> Result<Self> {
        let (id, may_have_twin) = inner.client.create_upload(object, content_type, with_checksums).await?;
        let (inner, object) = (inner.clone(), object.clone());
        Ok(MultipartUpload { inner, object, id, with_checksums, may_have_twin, is_gone: false })
    }

    /// Completes the object of `size` bytes.
    pub(crate) async fn complete(mut self, mut pieces: Vec<Piece>, size: u64) -> Result<(), Failure> {
        pieces.sort_by_key(|piece| piece.number);
        self.is_gone = self.inner.client.complete_upload(&self.object, &self.id, &pieces, size).await?;
        Ok(())
    }
}

impl Drop for MultipartUpload {
    fn drop(&mut self) {
        let MultipartUpload { is_gone, may_have_twin, .. } = *self;
        if is_gone && !may_have_twin {
            return;
        }
        let (inner, object, id) = (self.inner.clone(), self.object.clone(), std::mem::take(&mut self.id));
        self.inner.spawn(async move {
            let mut aborted = if is_gone { Ok(()) } else { inner.client.abort_upload(&object, &id).await };
            if may_have_twin && aborted.is_ok() {
                aborted = abort_all(&inner, &object).await;
            }
            if let Err(error) = aborted {
                tracing::warn!(%object, %error, "cannot abort a multipart upload; a sweep aborts it later");
            }
        });
    }
}

/// Aborts all multipart uploads of one key.
async fn abort_all(inner: &Inner, object: &ObjectKey) -> Result<(), Failure> {
    for Unfinished { object: found, id, .. } in inner.client.unfinished(object).await? {
        if found == *object {
            inner.client.abort_upload(object, &id).await?;
        }
    }
    Ok(())
}
