//! Parts whose content arrives.
//!
//! A part whose place is known goes straight into the session's own file, if no other write has or had that range;
//! else it gets a file of its own. A part whose number is taken is only compared.

use super::body::{Body, OwnName, OwnRange, Target};
use super::index::parts::{PartFile, PartRow};
use super::index::{self, parts};
use super::sessions::{Claim, Running};
use super::{Inner, blocking, catch_up, chain, detached, layout, read};
use crate::lane::Hashes;
use crate::{
    Blake3, ByteRange, Digest, Error, Expected, IfExists, PartOptions, PartReceipt, Result, Scope, SessionId, Sha256,
    TempKey, Token, Writer,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

struct PartWriter {
    inner: Arc<Inner>,
    scope: Scope,
    key: TempKey,
    options: PartOptions,
    body: Body,
    /// The digest of what is before it, where it is hashed on from there.
    before: Option<Digest>,
    running: Running,
}

pub(super) async fn begin(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    options: PartOptions,
) -> Result<Box<dyn Writer<PartReceipt>>> {
    let running = inner.sessions.begin(scope, session);
    let token = Token::random()?;
    let key = TempKey { session: session.clone(), number, token };
    let there = get(inner, scope, session, number).await?;
    if let Some(there) = &there {
        let other_size = options.expected.size.is_some_and(|size| size != there.size);
        if options.if_exists == IfExists::Fail || other_size {
            return Err(Error::Conflict);
        }
    }
    let target = match there {
        Some(_) => None,
        None => Some(target(inner, scope, &key, &options, &running).await?),
    };
    let chain = match options.offset {
        Some(offset) if target.is_some() => chain::before(inner, scope, session, offset).await?,
        _ => None,
    };
    let before = chain.as_ref().map(Sha256::so_far);
    let want_sha256 = options.want_sha256 || options.expected.sha256.is_some();
    let hashes = Hashes { blake3: Some(Blake3::new()), sha256: want_sha256.then(Sha256::new), chain, size: 0 };
    Ok(Box::new(PartWriter {
        inner: inner.clone(),
        scope: scope.clone(),
        key,
        options,
        body: Body::new(hashes, target, &inner.budget),
        before,
        running,
    }))
}

/// A place to write the part to: its range of the session's file if it can be had, else a file of its own.
async fn target(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    options: &PartOptions,
    running: &Running,
) -> Result<Target> {
    let session = key.session.clone();
    if let (Some(start), Some(size @ 1..)) = (options.offset, options.expected.size) {
        let end = start + size;
        // An offset beyond any object may be more than the filesystem has.
        let fits = end <= inner.options.max_object_size;
        // The claim comes first: whatever another put committed before it is in the index by now.
        if fits && let Some(claim) = inner.sessions.claim(running, start, end) {
            let (of, at) = (scope.clone(), session.clone());
            if !inner.index.read(move |conn| parts::placed(conn, &of, &at, start, end)).await? {
                let path = layout::placed(scope, &session);
                let (file, claim) = blocking(inner, move |inner| open_placed(inner, path, claim)).await?;
                // A session's file with a second name has become an object, and could not be removed here yet.
                if file.metadata()?.nlink() == 1 {
                    return Ok(Target::placed(&inner.disk, file, start, claim, running.gate().clone()));
                }
            }
        }
    }
    let path = layout::own(scope, &session, &key.token);
    let gate = running.gate().clone();
    blocking(inner, move |inner| {
        let file = inner.disk.create(&path)?;
        Ok(Target::own(&inner.disk, file, OwnName::new(&inner.disk, path), Some(gate)))
    })
    .await
}

/// Opens the session's own file for a put with a claim. If the put makes it, it goes again unless a part comes to be in it.
fn open_placed(inner: &Inner, path: PathBuf, claim: Claim) -> Result<(File, Claim)> {
    let (file, made) = inner.disk.open_or_create(&path)?;
    if made {
        let disk = inner.disk.clone();
        claim.made_file(move || {
            let removed = disk.unlink(&path).and_then(|_| path.parent().map_or(Ok(false), |dir| disk.remove_dir(dir)));
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "left behind; the next sweep removes it");
            }
        });
    }
    Ok((file, claim))
}

#[async_trait]
impl Writer<PartReceipt> for PartWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.body.add(chunk).await
    }

    async fn interrupted(&self) {
        self.running.gate().interrupted().await;
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<PartReceipt> {
        let PartWriter { inner, scope, key, options, body, before, running } = *self;
        let (hashes, target) = body.finish().await?;
        let (file, start) = match &target {
            Some(target) if target.claim.is_some() => (PartFile::Placed, options.offset.unwrap_or(0)),
            _ => (PartFile::Own, 0),
        };
        let mut row = PartRow {
            key,
            size: hashes.size,
            file,
            offset: options.offset,
            blake3: hashes.blake3.ok_or_else(|| Error::internal("no identity"))?.finish(),
            sha256: hashes.sha256.map(Sha256::finish),
            chain: chain::made(before, hashes.chain.as_ref()),
        };
        let if_exists = options.if_exists;
        let Some(target) = target else {
            return compare(&inner, &scope, row, expected.sha256, if_exists).await;
        };
        if expected.sha256.is_some() && row.sha256.is_none() {
            // It was not expected when the part began, so it was not computed on the way.
            let mut written = read::range(target.file.clone(), start, start + row.size);
            row.sha256 = Some(read::digest(&mut written).await?);
        }
        if expected.sha256.is_some_and(|expected| row.sha256 != Some(expected)) {
            return Err(Error::DigestMismatch);
        }
        // From here until the row is durable nobody can end this put any more.
        let passage = running.gate().enter()?;
        detached(async move {
            let receipt = commit(&inner, &scope, row, target, if_exists).await;
            if receipt.as_ref().is_err_and(index::in_doubt) {
                // Only the next opening can tell whether the row is there; until then no sweep may touch its data.
                running.keep_in_doubt();
            }
            drop(passage);
            receipt
        })
        .await
    }
}

/// Answers for content that was only compared with what has its number.
async fn compare(
    inner: &Arc<Inner>,
    scope: &Scope,
    ours: PartRow,
    expected: Option<Digest>,
    if_exists: IfExists,
) -> Result<PartReceipt> {
    let deleted = || Error::unavailable("the part compared with was deleted meanwhile");
    let there = get(inner, scope, &ours.key.session, ours.key.number).await?.ok_or_else(deleted)?;
    let mut receipt = settle(there, &ours, if_exists)?;
    if expected.is_some() && receipt.sha256.is_none() {
        let stored = read::part(inner, scope, &receipt.key, ByteRange::default()).await;
        let mut stored = stored.map_err(|error| if matches!(error, Error::NotFound) { deleted() } else { error })?;
        receipt.sha256 = Some(read::digest(&mut *stored).await?);
    }
    if expected.is_some() && receipt.sha256 != expected { Err(Error::DigestMismatch) } else { Ok(receipt) }
}

/// Makes the data durable, then the row.
async fn commit(
    inner: &Arc<Inner>,
    scope: &Scope,
    row: PartRow,
    target: Target,
    if_exists: IfExists,
) -> Result<PartReceipt> {
    let dir = layout::session_dir(scope, &row.key.session);
    let target = blocking(inner, move |inner| {
        inner.disk.sync_file(&target.file)?;
        inner.disk.sync_dir(&dir)?;
        Ok(target)
    })
    .await?;
    let written = {
        let (scope, row) = (scope.clone(), row.clone());
        let insert = move |conn: &Connection| match parts::insert(conn, &scope, &row)? {
            None => chain::due(conn, &scope, &row).map(Ok),
            Some(there) => Ok(Err(there)),
        };
        inner.write(insert).await
    };
    let in_doubt = written.as_ref().is_err_and(index::in_doubt);
    if in_doubt {
        target.name.into_iter().for_each(OwnName::keep);
        target.claim.into_iter().for_each(OwnRange::keep_in_doubt);
    } else if matches!(written, Ok(Ok(_))) {
        target.name.into_iter().for_each(OwnName::keep);
        // The claim ends here, after the row is there.
        target.claim.into_iter().for_each(OwnRange::keep);
    }
    match written? {
        Ok(due) => {
            catch_up::begin(inner, scope, &row.key.session, due);
            Ok(receipt(row))
        }
        Err(there) => settle(there, &row, if_exists),
    }
}

async fn get(inner: &Inner, scope: &Scope, session: &SessionId, number: u32) -> Result<Option<PartRow>> {
    let (scope, session) = (scope.clone(), session.clone());
    inner.index.read(move |conn| parts::get(conn, &scope, &session, number)).await
}

/// What to answer when the number was taken before.
fn settle(there: PartRow, ours: &PartRow, if_exists: IfExists) -> Result<PartReceipt> {
    if if_exists == IfExists::SameContentOk && there.size == ours.size && there.blake3 == ours.blake3 {
        let sha256: Option<Digest> = there.sha256.or(ours.sha256);
        Ok(PartReceipt { replayed: true, sha256, ..receipt(there) })
    } else {
        Err(Error::Conflict)
    }
}

/// The receipt of a part that is in the index.
pub(super) fn receipt(row: PartRow) -> PartReceipt {
    PartReceipt { key: row.key, size: row.size, sha256: row.sha256, offset: row.offset, replayed: false }
}
