//! Final objects whose content arrives.

use super::aside::{Aside, Opened};
use super::body::{Body, OwnName, Taken, Target};
use super::hashing::Digests;
use super::index::finals::FinalRow;
use super::publish::{publish, settle, stat};
use super::{Inner, blocking, detached, layout, now_ms, syncing};
use crate::{Digest, Error, Expected, FileId, FinalOptions, FinalReceipt, IfExists, Result, Scope, Token, Writer};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

struct FinalWriter {
    inner: Arc<Inner>,
    scope: Scope,
    file: FileId,
    options: FinalOptions,
    body: Body<Option<Target>>,
    staged: Option<Staged>,
    aside: Aside,
}

/// A token in use below `staging/`: a sweep leaves its file alone.
pub(super) struct Staged {
    inner: Arc<Inner>,
    token: Token,
    in_doubt: bool,
}

impl Staged {
    /// Leaves the token in use for as long as the store is open.
    pub(super) fn keep_in_doubt(mut self) {
        self.in_doubt = true;
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.in_doubt {
            self.inner.staged().remove(&self.token);
        }
    }
}

/// A new staged file, which goes when it is dropped.
pub(super) struct StagedFile {
    pub(super) file: Opened,
    pub(super) name: OwnName,
    pub(super) in_use: Staged,
}

/// Makes a staged file. What is to be done when it goes is done aside.
pub(super) async fn stage(inner: &Arc<Inner>, aside: &Aside) -> Result<StagedFile> {
    let aside = aside.clone();
    let token = Token::random()?;
    inner.staged().insert(token.clone());
    let in_use = Staged { inner: inner.clone(), token, in_doubt: false };
    blocking(inner, move |inner| {
        let path = layout::staged(&in_use.token);
        let file = inner.disk.create(&path)?;
        Ok(StagedFile { file, name: OwnName::new(&inner.disk, path, &aside), in_use })
    })
    .await
}

pub(super) async fn begin(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    options: FinalOptions,
) -> Result<Box<dyn Writer<FinalReceipt>>> {
    let compare = match (stat(inner, scope, file).await?, options.if_exists) {
        (None, _) => false,
        (Some(FinalRow::Gone(reason)), _) => return Err(Error::Gone(reason)),
        (Some(FinalRow::Live(_)), IfExists::Fail) => return Err(Error::Conflict),
        (Some(FinalRow::Live(there)), IfExists::SameContentOk) => {
            if options.expected.size.is_some_and(|size| size != there.size) {
                return Err(Error::Conflict);
            }
            true
        }
    };
    let aside = Aside::default();
    let (target, staged) = if compare {
        (None, None)
    } else {
        let StagedFile { file, name, in_use } = stage(inner, &aside).await?;
        (Some(Target::own(&inner.disk, file, name, None)), Some(in_use))
    };
    Ok(Box::new(FinalWriter {
        inner: inner.clone(),
        scope: scope.clone(),
        file: file.clone(),
        options,
        body: Body::new(Digests::lane(true, None), target, &inner.budget),
        staged,
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
        // The name that it was staged under is gone before anybody is told.
        aside.settled().await;
        finished
    }
}

impl FinalWriter {
    async fn finish_put(self, expected: Expected) -> Result<FinalReceipt> {
        let FinalWriter { inner, scope, file, options, body, staged, aside: _ } = self;
        let Taken { sink: target, size, hashing } = body.finish().await?;
        let no_digest = || Error::internal("no digest");
        let sha256 = hashing.ok_or_else(no_digest)?.finish().await?.sha256().ok_or_else(no_digest)?;
        if expected.sha256.is_some_and(|expected| expected != sha256) {
            return Err(Error::DigestMismatch);
        }
        let if_exists = options.if_exists;
        let receipt = receipt(&scope, file, size, sha256, options);
        let Some(Target { file: data, name: Some(name), .. }) = target else {
            let row = stat(&inner, &scope, &receipt.file).await?;
            return settle(row.ok_or_else(|| Error::internal("a final object lost its row"))?, &receipt, if_exists);
        };
        detached(async move {
            let synced = syncing(&inner, move |inner| {
                inner.disk.sync_file(&data)?;
                inner.disk.sync_dir(layout::STAGING.as_ref())
            });
            synced.await?;
            let published = publish(&inner, &scope, receipt, name.path().to_owned(), if_exists, |_| Ok(())).await;
            published.map_err(|failed| {
                if failed.in_doubt {
                    // Only the next opening can tell; until then no sweep may touch it.
                    name.keep();
                    staged.into_iter().for_each(Staged::keep_in_doubt);
                }
                failed.error
            })
        })
        .await
    }
}

/// The receipt of an object that comes to exist now.
pub(super) fn receipt(scope: &Scope, file: FileId, size: u64, sha256: Digest, options: FinalOptions) -> FinalReceipt {
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
