//! Final objects whose content arrives.

use crate::lane::Hashes;
use crate::local::files::aside::Aside;
use crate::local::files::body::{Body, Taken};
use crate::local::files::layout;
use crate::local::files::staging::StagedFile;
use crate::local::index::finals::FinalRow;
use crate::local::operations::publish::{compare_existing, publish, stat};
use crate::local::shared::{Inner, blocking, now_ms};
use crate::{Digest, Error, Expected, FileId, FinalOptions, FinalReceipt, IfExists, Result, Scope, Sha256, Writer};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

struct FinalWriter {
    inner: Arc<Inner>,
    scope: Scope,
    file: FileId,
    options: FinalOptions,
    /// Without a staged file the content is only hashed, because an object exists that may be the same.
    body: Body<Option<StagedFile>>,
    aside: Aside,
}

pub(crate) async fn begin_final(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    options: FinalOptions,
) -> Result<Box<dyn Writer<FinalReceipt>>> {
    let aside = inner.asides.put();
    let staged = match (stat(inner, scope, file).await?, options.if_exists) {
        (None, _) => {
            inner.disk.room()?;
            Some(inner.staging.file(&inner.disk, &aside)?)
        }
        (Some(FinalRow::Gone(reason)), _) => return Err(Error::Gone(reason)),
        (Some(FinalRow::Live(there)), IfExists::SameContentOk)
            if options.expected.size.is_none_or(|size| size == there.size) =>
        {
            None
        }
        (Some(FinalRow::Live(_)), _) => return Err(Error::Conflict),
    };
    Ok(Box::new(FinalWriter {
        inner: inner.clone(),
        scope: scope.clone(),
        file: file.clone(),
        options,
        body: Body::new(Hashes { sha256: Some(Sha256::new()), ..Hashes::default() }, staged, &inner.budget),
        aside,
    }))
}

#[async_trait]
impl Writer<FinalReceipt> for FinalWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.body.add(chunk, &self.aside).await
    }

    async fn interrupted(&self) -> Error {
        std::future::pending().await
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<FinalReceipt> {
        let aside = self.aside.clone();
        let finished = self.finish_put(expected).await;
        // The staged name is removed before the caller continues.
        aside.wait().await;
        finished
    }
}

impl FinalWriter {
    async fn finish_put(self, expected: Expected) -> Result<FinalReceipt> {
        let FinalWriter { inner, scope, file, options, body, aside: _ } = self;
        let whole = body.finish().await?;
        let if_exists = options.if_exists;
        let lock = inner.names.lock(&scope, &file).await?;
        // One job for the content, its name and its row: it runs to its end, even if the caller is dropped.
        let done = blocking(&inner, move |inner| {
            let Taken { sink: staged, size, hashes } = whole.take()?;
            let sha256 = hashes.sha256.map(Sha256::finish).ok_or_else(|| Error::internal("no digest"))?;
            if expected.sha256.is_some_and(|expected| expected != sha256) {
                return Err(Error::DigestMismatch);
            }
            let receipt = receipt(&scope, file, size, sha256, options);
            let Some(staged) = staged else { return Ok(Err((scope, receipt))) };
            staged.sync()?;
            let published = publish(inner, lock, &scope, receipt, staged.path(), if_exists, |_| Ok(()));
            match published {
                Err(failed) if failed.in_doubt => {
                    staged.keep_in_doubt();
                    Err(failed.error)
                }
                published => {
                    staged.remove();
                    published.map(Ok).map_err(|failed| failed.error)
                }
            }
        });
        match done.await? {
            Ok(receipt) => Ok(receipt),
            Err((scope, receipt)) => {
                let row = stat(&inner, &scope, &receipt.file).await?;
                compare_existing(
                    row.ok_or_else(|| Error::internal("a final object lost its row"))?,
                    &receipt,
                    if_exists,
                )
            }
        }
    }
}

/// The receipt of an object that comes to exist now.
pub(crate) fn receipt(scope: &Scope, file: FileId, size: u64, sha256: Digest, options: FinalOptions) -> FinalReceipt {
    FinalReceipt {
        key: layout::final_key(scope, &file),
        file,
        size,
        sha256,
        content_type: options.content_type,
        metadata: options.metadata,
        created_at: now_ms(),
        replayed: false,
    }
}
