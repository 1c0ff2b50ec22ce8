//! Parts that came out of order, hashed in the background while others still arrive: read back from their files, most
//! likely out of the page cache.
//!
//! Invariants: what is read is the content of a row that was still there after its file had been opened; a file is held
//! open for one step only, so that no deleted part stays on the disk for it; each byte of a part is hashed at most once in
//! its life, whatever is deleted and put again around it, because a part that has a chain keeps it.

use super::aside::Opened;
use super::chain::Due;
use super::hashing::PendingParts;
use super::index::parts::{self, PartRow};
use super::{Inner, read};
use crate::catching::Catch;
use crate::{Chain, Digest, Result, Scope, SessionId, Sha256, Sha256State, TempKey, limits};
use async_trait::async_trait;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sees to it that what is due is done. Nobody waits for that.
pub(super) fn begin(inner: &Arc<Inner>, scope: &Scope, session: &SessionId, due: Due) {
    let mut catcher = CatchUp {
        inner: inner.clone(),
        scope: scope.clone(),
        session: session.clone(),
        at: None,
        sha256: Sha256::new(),
        part: None,
    };
    let has_work = match due {
        Due::Nothing => false,
        Due::From(offset, state) => catcher.go_to(offset, &state),
        Due::Unknown => inner.catchers.search(scope, session),
    };
    if has_work {
        inner.catchers.begin(scope, session, catcher);
    }
}

/// What has been read of a part whose end was not reached.
pub(super) struct Begun {
    pub(super) key: TempKey,
    /// The digest of what was before it.
    pub(super) before: Digest,
    /// Bytes that have been read.
    pub(super) done: u64,
    /// The digest up to there.
    pub(super) sha256: Sha256,
}

/// Ends the catching up with a session for as long as what is answered first is there. Answers what had been begun, too.
pub(super) async fn pause(inner: &Inner, scope: &Scope, session: &SessionId) -> (impl Send + use<>, Option<Begun>) {
    let (pause, left) = inner.catchers.pause(scope, session).await;
    let begun = left.and_then(|left| {
        let Reading { row, before, done } = left.part?;
        Some(Begun { key: row.key, before, done, sha256: left.sha256 })
    });
    (pause, begun)
}

/// Hashes the parts of a session one after the other from where the chains end.
pub(super) struct CatchUp {
    inner: Arc<Inner>,
    scope: Scope,
    session: SessionId,
    /// The offset of the next part; absent until it has been searched for.
    at: Option<u64>,
    /// The digest of what is before that part, and of what has been read of it.
    sha256: Sha256,
    part: Option<Reading>,
}

/// A part that is being read.
#[derive(Clone)]
struct Reading {
    row: PartRow,
    before: Digest,
    done: u64,
}

#[async_trait]
impl Catch for CatchUp {
    async fn step(&mut self) -> Result<bool> {
        let (scope, session) = (self.scope.clone(), self.session.clone());
        let Some(at) = self.at else {
            let found = self.inner.index.read(move |conn| parts::first_behind(conn, &scope, &session)).await?;
            return Ok(found.is_some_and(|(offset, state)| self.go_to(offset, &state)));
        };
        let (part, sha256) = (self.part.clone(), self.sha256.clone());
        let Some((part, sha256)) = read_on(&self.inner, scope, session, at, part, sha256).await? else {
            self.part = None;
            return Ok(false);
        };
        self.sha256 = sha256;
        let part = self.part.insert(part);
        if part.done == part.row.size {
            let (scope, key) = (self.scope.clone(), part.row.key.clone());
            if let Some(chain) = Chain::made(Some(part.before), Some(&self.sha256)) {
                self.inner.note(move |conn| parts::chain(conn, &scope, &key, &chain)).await?;
            }
            self.at = Some(at + part.row.size);
            self.part = None;
        }
        Ok(true)
    }
}

impl CatchUp {
    /// Says where it begins; false if that is no state.
    fn go_to(&mut self, offset: u64, state: &Sha256State) -> bool {
        let state = Sha256::resume(state);
        self.at = state.as_ref().map(|_| offset);
        self.sha256 = state.unwrap_or_default();
        self.at.is_some()
    }
}

/// Takes the next bytes of a part into a digest: of the one that is being read, or else of the one that begins at an offset.
/// `None` if that is no more.
async fn read_on(
    inner: &Arc<Inner>,
    scope: Scope,
    session: SessionId,
    at: u64,
    part: Option<Reading>,
    mut sha256: Sha256,
) -> Result<Option<(Reading, Sha256)>> {
    let before = sha256.so_far();
    let (disk, counting, pending) = (inner.disk.clone(), inner.clone(), inner.pending.clone());
    let open = move |conn: &Connection| {
        let part = match part {
            Some(part) => Some(part),
            None => next(conn, &pending, &scope, &session, at)?.map(|row| Reading { row, before, done: 0 }),
        };
        let Some(part) = part else { return Ok(None) };
        let opened = read::open_row(&disk, conn, &scope, &part.row)?;
        Ok(opened.map(|(file, start)| (part, file, start)))
    };
    let hash = move |opened| {
        let Some((mut part, file, start)): Option<(Reading, Opened, u64)> = opened else { return Ok(None) };
        counting.disk.step("read")?;
        let from = start + part.done;
        let bytes = limits::CATCH_STEP.min(part.row.size - part.done);
        read::hash(&file, from, from + bytes, &mut sha256)?;
        counting.counters.hash_caught_up.fetch_add(bytes, Ordering::Relaxed);
        part.done += bytes;
        Ok(Some((part, sha256)))
    };
    inner.index.read_then(open, hash).await
}

/// The part to be read that begins at an offset.
fn next(
    conn: &Connection,
    pending: &PendingParts,
    scope: &Scope,
    session: &SessionId,
    at: u64,
) -> Result<Option<PartRow>> {
    match parts::behind(conn, scope, session, at)? {
        Some(row) if pending.has(scope, &row.key) => Ok(None),
        // It may have got its chain between these two looks.
        Some(_) => parts::behind(conn, scope, session, at),
        None => Ok(None),
    }
}
