//! Parts whose content arrives.
//!
//! A part whose place is known goes straight into the session's own file, if no other write has or had that range;
//! else it gets a file of its own. A part whose number is taken is only compared.

use super::aside::{Aside, Opened};
use super::body::{Body, OwnName, OwnRange, Sink, Taken, Target};
use super::chain::{self, Due};
use super::compare::Stored;
use super::hashing::{Digests, Step};
use super::index::parts::{PartFile, PartRow};
use super::index::{self, finals, parts};
use super::later::Later;
use super::sessions::{Claim, Gate, Running};
use super::{Inner, catch_up, detached, layout, read, syncing};
use crate::lane::Lane;
use crate::limits::HASH_LATER_MIN;
use crate::{
    ByteRange, Digest, Error, Expected, FileId, IfExists, PartOptions, PartReceipt, Result, Scope, SessionId, Sha256,
    TempKey, Token, Writer,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

struct PartWriter {
    inner: Arc<Inner>,
    scope: Scope,
    key: TempKey,
    options: PartOptions,
    body: Body<Place>,
    running: Running,
}

/// Where the content of a part goes.
enum Place {
    /// To the disk.
    Write(Target),
    /// Nowhere: its number is taken, and it is compared with what has it.
    Compare(Stored),
}

impl Sink for Place {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        match self {
            Place::Write(target) => target.take(at, frames),
            Place::Compare(stored) => stored.take(at, frames),
        }
    }
}

pub(super) async fn begin(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    options: PartOptions,
) -> Result<Box<dyn Writer<PartReceipt>>> {
    let running = inner.sessions.begin(scope, session);
    let key = TempKey { session: session.clone(), number, token: Token::random()? };
    let sha256 = options.needs_sha256();
    let (sink, hashing) = match begun(inner, scope, &key, &options, &running).await? {
        Begun::New(target, Before::Pending(lane)) => {
            lane.queue(Step::Begin { sha256 })?;
            (Place::Write(*target), Some(lane))
        }
        Begun::New(target, Before::Index(before)) => (Place::Write(*target), Digests::lane(sha256, before)),
        Begun::There(there) => {
            let other_size = options.expected.size.is_some_and(|size| size != there.size);
            if options.if_exists == IfExists::Fail || other_size {
                return Err(Error::Conflict);
            }
            let stored = Stored::open(inner, scope, there).await?.ok_or_else(deleted)?;
            (Place::Compare(stored), Digests::lane(sha256, None))
        }
    };
    Ok(Box::new(PartWriter {
        inner: inner.clone(),
        scope: scope.clone(),
        key,
        options,
        body: Body::new(hashing, sink, &inner.budget),
        running,
    }))
}

/// What a put begins with.
enum Begun {
    /// A place to write to, and what to go on from with the digest of the whole.
    New(Box<Target>, Before),
    /// What has the number.
    There(PartRow),
}

/// What the digest of the whole is gone on with from.
enum Before {
    /// The part before it, which is still being hashed.
    Pending(Lane<Digests>),
    /// What is known of that part, if anything.
    Index(Option<Sha256>),
}

async fn begun(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    options: &PartOptions,
    running: &Running,
) -> Result<Begun> {
    // The claim comes first: whatever another put committed before it is in the index by the time of the look.
    let claim = claim(inner, options, running);
    let (range, offset) = (claim.as_ref().map(Claim::range), options.offset);
    let look = {
        let (scope, TempKey { session, number, .. }) = (scope.clone(), key.clone());
        let pending = inner.pending.clone();
        let unless = options.unless_final.clone();
        move |conn: &Connection| {
            goes_on(conn, &scope, unless.as_ref())?;
            if let Some(there) = parts::get(conn, &scope, &session, number)? {
                return Ok((Some(there), false, Before::Index(None)));
            }
            // First, because what is pending no more is in the index.
            let lane = offset.and_then(|offset| pending.lane(&scope, &session, offset));
            let is_used = range.map(|(start, end)| parts::placed(conn, &scope, &session, start, end)).transpose()?;
            let before = match (lane, offset) {
                (Some(lane), _) => Before::Pending(lane),
                (None, Some(offset)) => Before::Index(chain::before(conn, &scope, &session, offset)?),
                (None, None) => Before::Index(None),
            };
            Ok((None, is_used == Some(true), before))
        }
    };
    let (placed, own) = (layout::placed(scope, &key.session), layout::own(scope, &key.session, &key.token));
    let (inner, gate, aside) = (inner.clone(), running.gate().clone(), running.aside().clone());
    let index = inner.index.clone();
    let begin = move |(there, is_used, before): (_, bool, _)| match there {
        Some(there) => Ok(Begun::There(there)),
        None => {
            let claim = claim.filter(|_| !is_used);
            Ok(Begun::New(Box::new(target(&inner, placed, own, claim, gate, &aside)?), before))
        }
    };
    index.read_then(look, begin).await
}

/// Refuses a part of what has ended.
fn goes_on(conn: &Connection, scope: &Scope, unless: Option<&FileId>) -> Result<()> {
    match unless {
        Some(file) if finals::exists(conn, scope, file)? => Err(Error::Ended),
        _ => Ok(()),
    }
}

/// Claims the part's range of the session's own file, if its place is known and nobody else has it.
fn claim(inner: &Inner, options: &PartOptions, running: &Running) -> Option<Claim> {
    let (start, size) = options.offset.zip(options.expected.size.filter(|size| *size > 0))?;
    let end = start + size;
    // An offset beyond any object may be more than the filesystem has.
    if end <= inner.options.max_object_size { inner.sessions.claim(running, start, end) } else { None }
}

/// Opens a place to write the part to: its range of the session's file if it has been claimed, else a file of its own.
fn target(
    inner: &Inner,
    placed: PathBuf,
    own: PathBuf,
    claim: Option<Claim>,
    gate: Arc<Gate>,
    aside: &Aside,
) -> Result<Target> {
    if let Some(claim) = claim {
        let (file, claim) = open_placed(inner, placed, claim)?;
        // A session's file with a second name has become an object, and could not be removed here yet.
        if file.metadata()?.nlink() == 1 {
            return Ok(Target::placed(&inner.disk, file, claim, gate));
        }
    }
    let file = inner.disk.create(&own)?;
    Ok(Target::own(&inner.disk, file, OwnName::new(&inner.disk, own, aside), Some(gate)))
}

/// Opens the session's own file for a put with a claim. If the put makes it, it goes again unless a part comes to be in it.
fn open_placed(inner: &Inner, path: PathBuf, claim: Claim) -> Result<(Opened, Claim)> {
    let (file, made) = inner.disk.open_or_create(&path)?;
    if made {
        let disk = inner.disk.clone();
        claim.made_file(move || {
            let removed = disk.unlink(&path).and_then(|_| path.parent().map_or(Ok(false), |dir| disk.remove_dir(dir)));
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), error = %error.told(), "left behind; the next sweep removes it");
            }
        });
    }
    Ok((file, claim))
}

#[async_trait]
impl Writer<PartReceipt> for PartWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.body.add(chunk, self.running.aside()).await
    }

    async fn interrupted(&self) -> Error {
        self.running.gate().interrupted().await;
        Error::Interrupted { received: 0 }
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<PartReceipt> {
        let aside = self.running.aside().clone();
        let finished = self.finish_put(expected).await;
        // What was not kept is gone before anybody is told.
        aside.settled().await;
        finished
    }
}

impl PartWriter {
    async fn finish_put(self, expected: Expected) -> Result<PartReceipt> {
        let PartWriter { inner, scope, key, options, body, running } = self;
        let Taken { sink, size, hashing } = body.finish().await?;
        let is_waited_for = options.needs_sha256() || size < HASH_LATER_MIN;
        let PartOptions { offset, if_exists, unless_final: unless, .. } = options;
        let (digests, hashing) = match hashing {
            Some(lane) if is_waited_for => (Some(lane.finish().await?), None),
            hashing => (None, hashing),
        };
        let sha256 = digests.as_ref().and_then(Digests::sha256);
        let target = match sink {
            Place::Write(target) => target,
            Place::Compare(stored) if !stored.is_same(size) => return Err(Error::Conflict),
            Place::Compare(stored) => {
                return same(&inner, &scope, stored.row.key, sha256, expected.sha256, unless).await;
            }
        };
        let (file, start) = match &target.claim {
            Some(claim) => (PartFile::Placed, claim.start()),
            None => (PartFile::Own, 0),
        };
        let mut row = PartRow { key, size, file, offset, sha256, chain: digests.as_ref().and_then(Digests::chain) };
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
            let committed = commit(&inner, &scope, &row, target, hashing, unless).await;
            if committed.as_ref().is_err_and(index::in_doubt) {
                // Only the next opening can tell whether the row is there; until then no sweep may touch its data.
                running.keep_in_doubt();
            }
            let receipt = match committed? {
                None => Ok(receipt(row)),
                Some((there, target)) => settle(&inner, &scope, there, row, target, if_exists).await,
            };
            drop(passage);
            receipt
        })
        .await
    }
}

/// Answers for content that is the same as the part that has its number. `sha256` is its own, where it was computed.
async fn same(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: TempKey,
    sha256: Option<Digest>,
    expected: Option<Digest>,
    unless: Option<FileId>,
) -> Result<PartReceipt> {
    let look = {
        let (scope, key) = (scope.clone(), key.clone());
        move |conn: &Connection| {
            goes_on(conn, &scope, unless.as_ref())?;
            parts::by_key(conn, &scope, &key)
        }
    };
    let there = inner.index.read(look).await?.ok_or_else(deleted)?;
    let mut sha256 = there.sha256.or(sha256);
    if expected.is_some() && sha256.is_none() {
        let stored = read::part(inner, scope, &key, ByteRange::default()).await;
        let mut stored = stored.map_err(|error| if matches!(error, Error::NotFound) { deleted() } else { error })?;
        sha256 = Some(read::digest(&mut *stored).await?);
    }
    if expected.is_some() && sha256 != expected {
        return Err(Error::DigestMismatch);
    }
    Ok(PartReceipt { replayed: true, sha256, ..receipt(there) })
}

fn deleted() -> Error {
    Error::unavailable("the part compared with was deleted meanwhile")
}

/// Makes the data durable, then the row. If another put had the number first, answers its part, and the target again.
async fn commit(
    inner: &Arc<Inner>,
    scope: &Scope,
    row: &PartRow,
    target: Target,
    hashing: Option<Lane<Digests>>,
    unless: Option<FileId>,
) -> Result<Option<(PartRow, Target)>> {
    let dir = layout::session_dir(scope, &row.key.session);
    let (of, session) = (scope.clone(), row.key.session.clone());
    let target = syncing(inner, move |inner| {
        let synced = inner.disk.sync_file(&target.file);
        if target.claim.is_some() {
            if synced.is_err() {
                inner.sessions.distrust(&of, &session);
            } else if inner.sessions.is_distrusted(&of, &session) {
                return Err(Error::unavailable("another part's sync of the session's file has failed meanwhile"));
            }
        }
        synced?;
        inner.disk.sync_dir(&dir)?;
        Ok(target)
    })
    .await?;
    // What was hashed while the data were synced need not be noted later.
    let (chain, later) = match hashing.map(Lane::try_finish) {
        None => (row.chain.clone(), None),
        Some(Ok(digests)) => (digests.chain(), None),
        Some(Err(lane)) => (None, Some(Later::new(inner, scope, &row.key, lane))),
    };
    let row = PartRow { chain, ..row.clone() };
    let written = {
        let (scope, row, is_later, pending) = (scope.clone(), row.clone(), later.is_some(), inner.pending.clone());
        let insert = move |conn: &Connection| {
            goes_on(conn, &scope, unless.as_ref())?;
            match parts::insert(conn, &scope, &row)? {
                None if is_later => Ok(Ok(Due::Nothing)),
                None => chain::due(conn, &scope, &row, &pending).map(Ok),
                Some(there) => Ok(Err(there)),
            }
        };
        inner.write(insert).await
    };
    match written {
        Ok(Ok(due)) => {
            target.name.into_iter().for_each(OwnName::keep);
            // The claim ends here, after the row is there.
            target.claim.into_iter().for_each(OwnRange::keep);
            catch_up::begin(inner, scope, &row.key.session, due);
            later.into_iter().for_each(|later| later.go_on(inner, scope, row.clone()));
            Ok(None)
        }
        Ok(Err(there)) => Ok(Some((there, target))),
        Err(error) => {
            if index::in_doubt(&error) {
                target.name.into_iter().for_each(OwnName::keep);
                target.claim.into_iter().for_each(OwnRange::keep_in_doubt);
            }
            Err(error)
        }
    }
}

/// What to answer when another put had the number first, after ours had begun.
async fn settle(
    inner: &Arc<Inner>,
    scope: &Scope,
    there: PartRow,
    ours: PartRow,
    target: Target,
    if_exists: IfExists,
) -> Result<PartReceipt> {
    if if_exists == IfExists::Fail || there.size != ours.size {
        return Err(Error::Conflict);
    }
    let stored = Stored::open(inner, scope, there.clone()).await?.ok_or_else(deleted)?;
    let start = target.claim.as_ref().map_or(0, OwnRange::start);
    // The target goes after it: what was written must be there until it has been compared.
    if !stored.equals(inner, target.file.clone(), start).await? {
        return Err(Error::Conflict);
    }
    Ok(PartReceipt { replayed: true, sha256: there.sha256.or(ours.sha256), ..receipt(there) })
}

/// The receipt of a part that is in the index.
pub(super) fn receipt(row: PartRow) -> PartReceipt {
    PartReceipt { key: row.key, size: row.size, sha256: row.sha256, offset: row.offset, replayed: false }
}
