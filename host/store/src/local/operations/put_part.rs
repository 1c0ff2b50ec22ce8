//! Parts whose content arrives.
//!
//! A part with a known offset and size is written straight into the session's own file, if no other write has or had
//! that range; otherwise it gets a file of its own. A part whose number is taken is only compared.

use crate::lane::Hashes;
use crate::local::digest::catch_up;
use crate::local::digest::chain;
use crate::local::files::aside::{Aside, Opened};
use crate::local::files::body::{Body, OwnName, OwnRange, Sink, Taken, Target};
use crate::local::files::layout;
use crate::local::index::parts::{PartFile, PartRow};
use crate::local::index::{self, finals, parts};
use crate::local::operations::compare::StoredPart;
use crate::local::operations::read;
use crate::local::sessions::{Claim, Gate, Passage, Running};
use crate::local::shared::Inner;
use crate::{
    ByteRange, Chain, Digest, Error, Expected, FileId, IfExists, PartOptions, PartReceipt, Result, Scope, SessionId,
    Sha256, TempKey, Token, Writer, limits,
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
    body: Body<Destination>,
    /// The digest of everything before the part, if its content is hashed on from there.
    before: Option<Digest>,
    running: Running,
}

/// The destination of a part's content.
enum Destination {
    /// To the disk.
    Write(Target),
    /// A comparison: the number is taken, and the content may be the same.
    Compare(StoredPart),
}

impl Sink for Destination {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        match self {
            Destination::Write(target) => target.take(at, frames),
            Destination::Compare(stored) => stored.take(at, frames),
        }
    }
}

pub(crate) async fn begin_part(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    options: PartOptions,
) -> Result<Box<dyn Writer<PartReceipt>>> {
    let running = inner.sessions.register(scope, session, inner.asides.put(), options.keep_prefix);
    let key = TempKey { session: session.clone(), number, token: Token::random()? };
    let sha256 = options.needs_sha256().then(Sha256::new);
    let (sink, chain) = match look_up(inner, scope, &key, &options, &running).await? {
        Start::New(target, before) => (Destination::Write(*target), before),
        Start::There(there) => {
            let other_size = options.expected.size.is_some_and(|size| size != there.size);
            if options.if_exists == IfExists::Fail || other_size {
                return Err(Error::Conflict);
            }
            let stored = StoredPart::open(inner, scope, there).await?.ok_or_else(deleted)?;
            (Destination::Compare(stored), None)
        }
    };
    Ok(Box::new(PartWriter {
        inner: inner.clone(),
        scope: scope.clone(),
        key,
        options,
        before: chain.as_ref().map(Sha256::so_far),
        body: Body::new(Hashes { sha256, chain, ..Hashes::default() }, sink, &inner.budget),
        running,
    }))
}

/// The start of a put.
enum Start {
    /// A target, and the digest of everything before the part, if it is known.
    New(Box<Target>, Option<Sha256>),
    /// The part that has the number.
    There(PartRow),
}

async fn look_up(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    options: &PartOptions,
    running: &Running,
) -> Result<Start> {
    // The claim comes first: whatever another put committed before it is in the index by the time of the look.
    let claim = claim(inner, options, running);
    let (range, offset) = (claim.as_ref().map(Claim::range), options.offset);
    let look = {
        let (scope, TempKey { session, number, .. }) = (scope.clone(), key.clone());
        let unless = options.unless_final.clone();
        move |conn: &Connection| {
            check_open(conn, &scope, unless.as_ref())?;
            if let Some(there) = parts::get(conn, &scope, &session, number)? {
                return Ok((Some(there), false, None));
            }
            let is_used = range.map(|(start, end)| parts::placed(conn, &scope, &session, start, end)).transpose()?;
            let before = offset.map(|offset| chain::before(conn, &scope, &session, offset)).transpose()?;
            Ok((None, is_used == Some(true), before.flatten()))
        }
    };
    let (placed, own) = (layout::placed(scope, &key.session), layout::own(scope, &key.session, &key.token));
    let (inner, gate, aside) = (inner.clone(), running.gate().clone(), running.aside().clone());
    let index = inner.index.clone();
    let begin = move |(there, is_used, before): (_, bool, Option<Sha256>)| match there {
        Some(there) => Ok(Start::There(there)),
        None => {
            let claim = claim.filter(|_| !is_used);
            Ok(Start::New(Box::new(target(&inner, placed, own, claim, gate, &aside)?), before))
        }
    };
    index.read_then(look, begin).await
}

/// Refuses a part for a file id that has ended.
fn check_open(conn: &Connection, scope: &Scope, unless: Option<&FileId>) -> Result<()> {
    match unless {
        Some(file) if finals::exists(conn, scope, file)? => Err(Error::Ended),
        _ => Ok(()),
    }
}

/// Claims the part's range of the session's own file, if the part has an offset and the range is free. Content of
/// unknown size that follows a known part, or that may end early, gets everything behind its offset: such parts come one
/// after the other.
fn claim(inner: &Inner, options: &PartOptions, running: &Running) -> Option<Claim> {
    let start = options.offset?;
    let most = inner.options.max_object_size.saturating_sub(start).min(options.limit.unwrap_or(u64::MAX));
    let open = most.min(limits::OPEN_RANGE);
    let is_append = options.previous.is_some() || options.keep_prefix;
    let size = options.expected.size.or(is_append.then_some(open)).filter(|size| *size > 0)?;
    let end = start + size;
    // An offset beyond any object may be beyond the filesystem's limit.
    if end <= inner.options.max_object_size { inner.sessions.claim(running, start, end) } else { None }
}

/// Opens the target of a part: its range of the session's file if it was claimed, otherwise a file of its own.
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
    own_target(inner, own, gate, aside)
}

/// Creates a file of its own for a part.
fn own_target(inner: &Inner, own: PathBuf, gate: Arc<Gate>, aside: &Aside) -> Result<Target> {
    let file = inner.disk.create(&own)?;
    Ok(Target::own(&inner.disk, file, OwnName::new(&inner.disk, own, aside), Some(gate)))
}

/// Opens the session's own file for a put with a claim. A file that the put creates is removed again unless it gets a
/// part.
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
        // Discarded data is removed before the caller continues.
        aside.wait().await;
        finished
    }
}

impl PartWriter {
    async fn finish_put(self, expected: Expected) -> Result<PartReceipt> {
        let PartWriter { inner, scope, key, options, body, before, running } = self;
        let if_exists = options.if_exists;
        let unless = options.unless_final.clone();
        let whole = body.finish().await?;
        let (here, of) = (inner.clone(), scope.clone());
        // One job for the content and its row: it runs to its end, even if the caller is dropped.
        let stored = tokio::task::spawn_blocking(move || {
            let Taken { sink, size, hashes } = whole.take()?;
            match sink {
                Destination::Write(target) => {
                    let part = NewPart { scope: of, key, size, options, before, hashes };
                    part.store(&here, target, expected, &running)
                }
                Destination::Compare(stored) if !stored.is_same(size) => Err(Error::Conflict),
                Destination::Compare(stored) => Ok(Stored::Same(stored.row.key, hashes.sha256.map(Sha256::finish))),
            }
        });
        match stored.await.map_err(Error::internal)?? {
            Stored::New(row) => Ok(receipt(row)),
            Stored::Same(key, sha256) => same(&inner, &scope, key, sha256, expected.sha256, unless).await,
            Stored::Late(late) => late.compare(&inner, &scope, if_exists).await,
        }
    }
}

/// The outcome of storing the content of a put.
enum Stored {
    /// It is a new part.
    New(PartRow),
    /// It equals the part that has its number. Carries its SHA-256, if it was computed.
    Same(TempKey, Option<Digest>),
    /// Another put had the number first.
    Late(Box<Late>),
}

/// A part whose content is complete.
struct NewPart {
    scope: Scope,
    key: TempKey,
    size: u64,
    options: PartOptions,
    before: Option<Digest>,
    hashes: Hashes,
}

impl NewPart {
    /// Makes the data durable, then the row. Blocks.
    fn store(self, inner: &Arc<Inner>, target: Target, expected: Expected, running: &Running) -> Result<Stored> {
        let NewPart { scope, key, size, options, before, hashes } = self;
        // An empty part occupies no range, so it is never placed: its size may have been unknown before.
        let target = if size == 0 && target.claim.is_some() {
            own_target(inner, layout::own(&scope, &key.session, &key.token), running.gate().clone(), running.aside())?
        } else {
            target
        };
        let (file, start) = match &target.claim {
            Some(claim) => (PartFile::Placed, claim.start()),
            None => (PartFile::Own, 0),
        };
        let mut sha256 = hashes.sha256.map(Sha256::finish);
        if expected.sha256.is_some() && sha256.is_none() {
            // It was not expected when the part began, so it was not computed on the way.
            let mut written = Sha256::new();
            read::hash(&target.file, start, start + size, &mut written)?;
            sha256 = Some(written.finish());
        }
        if expected.sha256.is_some_and(|expected| sha256 != Some(expected)) {
            return Err(Error::DigestMismatch);
        }
        let chain = Chain::made(before, hashes.chain.as_ref());
        let row = PartRow { key, size, file, offset: options.offset, sha256, chain };
        // From here until the row is durable an interrupt waits for this put.
        let passage = running.gate().enter()?;
        sync(inner, &scope, &row.key.session, &target)?;
        let written = {
            let (scope, row, unless) = (scope.clone(), row.clone(), options.unless_final);
            let insert = move |conn: &Connection| {
                check_open(conn, &scope, unless.as_ref())?;
                match parts::insert(conn, &scope, &row)? {
                    None => chain::due(conn, &scope, &row).map(Ok),
                    Some(there) => Ok(Err(there)),
                }
            };
            inner.index.write_blocking(insert)
        };
        match written {
            Ok(Ok(due)) => {
                target.name.into_iter().for_each(OwnName::keep);
                // The claim ends here, after the row exists.
                target.claim.into_iter().for_each(OwnRange::keep);
                catch_up::start(inner, &scope, &row.key.session, due);
                Ok(Stored::New(row))
            }
            Ok(Err(there)) => Ok(Stored::Late(Box::new(Late { there, ours: row, target, _passage: passage }))),
            Err(error) => {
                if index::in_doubt(&error) {
                    // Only the next opening can tell whether the row exists; until then no sweep may touch its data.
                    running.keep_in_doubt();
                    target.name.into_iter().for_each(OwnName::keep);
                    target.claim.into_iter().for_each(OwnRange::keep_in_doubt);
                }
                Err(error)
            }
        }
    }
}

/// Makes the data of a part durable. Blocks.
fn sync(inner: &Inner, scope: &Scope, session: &SessionId, target: &Target) -> Result<()> {
    let synced = inner.disk.sync_file(&target.file);
    if target.claim.is_some() {
        if synced.is_err() {
            inner.sessions.distrust(scope, session);
        } else if inner.sessions.is_distrusted(scope, session) {
            return Err(Error::unavailable("another part's sync of the session's file has failed meanwhile"));
        }
    }
    synced?;
    inner.disk.sync_dir(&layout::session_dir(scope, session))
}

/// The receipt for content that equals the part of its number. `sha256` is the content's own, if it was computed.
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
            check_open(conn, &scope, unless.as_ref())?;
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

/// Content whose number another put took while it arrived.
struct Late {
    there: PartRow,
    ours: PartRow,
    target: Target,
    _passage: Passage,
}

impl Late {
    /// The outcome: the existing receipt if the content is the same and that is allowed.
    async fn compare(self, inner: &Arc<Inner>, scope: &Scope, if_exists: IfExists) -> Result<PartReceipt> {
        let Late { there, ours, target, _passage } = self;
        if if_exists == IfExists::Fail || there.size != ours.size {
            return Err(Error::Conflict);
        }
        let stored = StoredPart::open(inner, scope, there.clone()).await?.ok_or_else(deleted)?;
        let start = target.claim.as_ref().map_or(0, OwnRange::start);
        // The target is dropped after it, because its content must exist until it has been compared.
        if !stored.equals(inner, target.file.clone(), start).await? {
            return Err(Error::Conflict);
        }
        Ok(PartReceipt { replayed: true, sha256: there.sha256.or(ours.sha256), ..receipt(there) })
    }
}

/// The receipt of a part in the index.
pub(crate) fn receipt(row: PartRow) -> PartReceipt {
    PartReceipt {
        key: row.key,
        size: row.size,
        sha256: row.sha256,
        offset: row.offset,
        replayed: false,
        is_prefix: false,
    }
}
